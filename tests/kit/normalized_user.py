"""pynetdicom as a user of N-services."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pydicom
from kit.pynetdicom_user import associate
from pynetdicom import AE, build_context, evt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynetdicom.association import Association


@contextlib.contextmanager
def associated(port: int, *uids: str, roles: Any = ()) -> Iterator[Association]:
    """An association of pynetdicom's.

    `command` is the command set of the last message that it has received, as it reads it: some of
    its functions give only a part of that.
    """

    def note(event: Any) -> None:
        event.assoc.command = event.message.command_set

    association = associate(
        AE("PYNETDICOM"),
        port,
        contexts=[build_context(uid) for uid in uids],
        ext_neg=list(roles),
        evt_handlers=[(evt.EVT_DIMSE_RECV, note)],
    )
    try:
        yield association
    finally:
        association.release()
    assert association.is_released


def made(**values: object) -> pydicom.Dataset:
    """A data set of pydicom's."""
    data_set = pydicom.Dataset()
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    return data_set
