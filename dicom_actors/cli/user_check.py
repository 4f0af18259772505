"""Whether an association comes from the user that ``serve`` was told to take (PS3.7 D.3.3.7)."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from dicom_actors.actors import Accept
from dicom_actors.pdu import Reject

if TYPE_CHECKING:
    from dicom_actors.actors import AssociationRequest

__all__ = ["UserCheck"]


class UserCheck:
    """An ``association_validator`` that takes one user alone.

    Args:
        user: the user's name.
        passcode: what the user has to give; None: nothing, the name will do.
    """

    def __init__(self, user: str, passcode: str | None) -> None:
        self._user = user.encode()
        self._passcode = None if passcode is None else passcode.encode()

    def __call__(self, request: AssociationRequest) -> Accept | Reject:
        """Take the association or refuse it. Runs in a Handler's thread."""
        identity = request.user_identity
        if identity is None or identity.user_name is None:
            return Reject.NO_REASON
        # Both are compared in a time that tells nothing of them.
        is_user = hmac.compare_digest(identity.primary_field, self._user)
        given = identity.secondary_field
        is_right = self._passcode is None or hmac.compare_digest(given, self._passcode)
        return Accept(identity_response=b"") if is_user and is_right else Reject.NO_REASON
