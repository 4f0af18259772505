"""pynetdicom as a user that never misses a response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pynetdicom import AE
    from pynetdicom.association import Association


def associate(entity: AE, port: int, **options: Any) -> Association:
    """Ask for an association for requests of ours alone, which must be accepted.

    A thread of pynetdicom looks for requests of the peer meanwhile. It pauses while one of ours
    runs, but on a loaded machine it may take the response just before it does, and then
    ``send_...`` waits in vain. Where the peer asks for nothing, it need not look.
    """
    association = entity.associate("127.0.0.1", port, **options)
    assert association.is_established
    take = association.dimse.get_msg

    def get_msg(block: bool = False) -> Any:
        return take(block=True) if block else (None, None)

    association.dimse.get_msg = get_msg  # type: ignore[method-assign]
    return association
