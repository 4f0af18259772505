"""Why something was not delivered; for the actors of destinations."""

from __future__ import annotations

from dicom_actors.errors import DicomError

__all__ = ["NotTaken", "Unreachable"]


class Unreachable(DicomError):
    """The destination itself is not there: nothing can be said of the object.

    Args:
        text: why.
        was_under_way: whether that came to light while the object was being sent, so that it may
            be to blame.
    """

    def __init__(self, text: str, *, was_under_way: bool = False) -> None:
        super().__init__(text)
        self.was_under_way = was_under_way


class NotTaken(DicomError):
    """This object was not taken.

    Args:
        text: why.
        is_final: whether it will never be.
        is_busy: whether that says more of the destination than of the object.
    """

    def __init__(self, text: str, *, is_final: bool = False, is_busy: bool = False) -> None:
        super().__init__(text)
        self.is_final = is_final
        self.is_busy = is_busy
