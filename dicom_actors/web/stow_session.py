"""What comes of the objects of a STOW-RS request, whatever form they came in.

A part goes to memory while it is small, and to a file of the archive's own, which becomes the
object's, as soon as it is not. What is whole is kept by a few threads beside the one that reads,
so that many small ones share a synchronization of the disk; so many are under way at the most.

Standard: PS3.18 10.5.3, Annex I.2.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors import DataSet, write_file
from dicom_actors.archive.files import Spool
from dicom_actors.archive.objects import NewObject
from dicom_actors.errors import ArchiveError, DataError
from dicom_actors.web.exchange import HttpError, Response, json_response

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from dicom_actors.archive import Archive
    from dicom_actors.web.settings import WebSettings

__all__ = ["CANNOT_UNDERSTAND", "NOT_SUPPORTED", "OUT_OF_RESOURCES", "PartSpool", "Session"]

# Failure reasons (PS3.18 I.2.2).
_PROCESSING_FAILURE: Final = 0x0110
_DUPLICATE: Final = 0x0111
OUT_OF_RESOURCES: Final = 0xA700
CANNOT_UNDERSTAND: Final = 0xC000
_MISMATCH_OF_STUDY: Final = 0xC409
NOT_SUPPORTED: Final = 0x0122

_UNDER_WAY: Final = 16
_SHORTEST: Final = 40
"""Bytes in which no object can say which it is: its four UIDs take that."""


class _Outcome(NamedTuple):
    """What came of an object.

    Attributes:
        uids: study, series, SOP class, SOP instance; empty where it is not known.
        reason: why it was not kept; 0: it was.
    """

    uids: tuple[str, str, str, str]
    reason: int = 0


_UNKNOWN: Final = ("", "", "", "")


class PartSpool(Spool):
    """Takes the bytes of a part.

    Args:
        archive: the archive.
        most: how many it takes.
    """

    def __init__(self, archive: Archive, most: int) -> None:
        super().__init__(archive.store, archive.settings.journal_object_bytes)
        self._most = most

    def write(self, data: bytes | memoryview) -> None:
        """Take more.

        Raises:
            HttpError: 413, they are too many; 507, there is no room.
        """
        if self.length + len(data) > self._most:
            raise HttpError(413, f"expected parts of up to {self._most} bytes")
        try:
            super().write(data)
        except OSError as error:
            raise HttpError(507, "there is no room, or the disk cannot be written") from error


class Session:
    """The objects of a request, and what came of them."""

    def __init__(
        self,
        archive: Archive,
        settings: WebSettings,
        keepers: ThreadPoolExecutor,
        study: str,
        base_url: str,
    ) -> None:
        self._archive = archive
        self._settings = settings
        self._keepers = keepers
        self._study = study
        self._base_url = base_url
        self._outcomes: list[Future[_Outcome] | _Outcome] = []
        self._waiting = 0

    def spool(self) -> PartSpool:
        """Make a place for a part."""
        return PartSpool(self._archive, self._settings.max_part_bytes)

    def spool_of_all(self) -> PartSpool:
        """Make a place for all parts, one behind the other."""
        return PartSpool(self._archive, self._settings.max_body_bytes + self._settings.max_parts)

    def check_part(self, length: int) -> None:
        """Refuse a part that is too long.

        Raises:
            HttpError: 413, it is.
        """
        if length > self._settings.max_part_bytes:
            raise HttpError(413, f"expected parts of up to {self._settings.max_part_bytes} bytes")

    @property
    def max_objects(self) -> int:
        """How many objects a request may have."""
        return self._settings.max_parts

    @property
    def max_json_bytes(self) -> int:
        """What metadata may have."""
        return self._settings.max_json_bytes

    def keep(self, spool: Spool) -> None:
        """Have an object kept that is whole, or note why it is not."""
        if spool.length < _SHORTEST:
            spool.remove()
            self.refuse(CANNOT_UNDERSTAND)
            return
        self._add(self._keepers.submit(self._keep, spool))

    def keep_data_set(
        self, data_set: DataSet, syntax: str, uids: tuple[str, str, str, str]
    ) -> None:
        """Have a data set kept, or note why it is not.

        What it has may be let go as soon as this returns.
        """
        spool = self.spool()
        try:
            write_file(spool.as_file(), data_set, transfer_syntax=syntax)
        except DataError:
            spool.remove()
            self.refuse(CANNOT_UNDERSTAND, uids)
        except HttpError:
            spool.remove()
            self.refuse(OUT_OF_RESOURCES, uids)
        else:
            self.keep(spool)

    def refuse(self, reason: int, uids: tuple[str, str, str, str] = _UNKNOWN) -> None:
        """Note that an object is not kept."""
        self._outcomes.append(_Outcome(uids, reason))

    def _add(self, future: Future[_Outcome]) -> None:
        self._outcomes.append(future)
        pending = len(self._outcomes) - _UNDER_WAY
        if pending >= 0:
            self._outcomes[pending] = self._outcome(pending)

    def _outcome(self, at: int) -> _Outcome:
        found = self._outcomes[at]
        return found.result() if isinstance(found, Future) else found

    def _keep(self, spool: Spool) -> _Outcome:
        """Keep an object; runs in a thread of its own."""
        uids = _UNKNOWN
        try:
            new = NewObject.of_spool(spool, self.spool)
            description = new.intake.description
            uids = (
                description.study_instance_uid,
                description.series_instance_uid,
                description.sop_class_uid,
                description.sop_instance_uid,
            )
            if self._study and uids[0] != self._study:
                return _Outcome(uids, _MISMATCH_OF_STUDY)
            added = self._archive.keep(new)
            return _Outcome(uids, 0 if added.is_kept else _DUPLICATE)
        except DataError:
            return _Outcome(uids, CANNOT_UNDERSTAND)
        except ArchiveError as error:
            is_known = error.reason != "failed"
            return _Outcome(uids, OUT_OF_RESOURCES if is_known else _PROCESSING_FAILURE)
        except (OSError, HttpError):
            return _Outcome(uids, OUT_OF_RESOURCES)
        finally:
            spool.remove()

    def close(self) -> None:
        """Wait for what is under way."""
        for at in range(len(self._outcomes)):
            self._outcome(at)

    def response(self) -> Response:
        """Say what came of all (PS3.18 10.5.3)."""
        outcomes = [self._outcome(at) for at in range(len(self._outcomes))]
        if not outcomes:
            raise HttpError(400, "expected at least one object")
        stored = [one for one in outcomes if not one.reason]
        if len(stored) == len(outcomes) and (self._study or len(outcomes) > 1):
            # One object without its study named may be one of many requests.
            for study in {one.uids[0] for one in stored}:
                self._archive.has_evidence(study, "a STOW-RS request ended")
        failed = [one for one in outcomes if one.reason and one.uids[3]]
        others = [one for one in outcomes if one.reason and not one.uids[3]]
        model: dict[str, Any] = {}
        studies = {one.uids[0] for one in stored}
        if len(studies) == 1:
            model["00081190"] = _attribute("UR", f"{self._base_url}/studies/{studies.pop()}")
        if failed:
            model["00081198"] = _sequence(
                {**_reference(one), "00081197": _attribute("US", one.reason)} for one in failed
            )
        if stored:
            model["00081199"] = _sequence(
                {**_reference(one), "00081190": _attribute("UR", self._url(one))} for one in stored
            )
        if others:
            model["0008119A"] = _sequence(
                {"00081197": _attribute("US", one.reason)} for one in others
            )
        status = 200 if not failed and not others else 202 if stored else 409
        reasons = {one.reason for one in outcomes}
        if reasons == {OUT_OF_RESOURCES}:
            status = 507
        return json_response(model, status=status)

    def _url(self, outcome: _Outcome) -> str:
        study, series, _, instance = outcome.uids
        return f"{self._base_url}/studies/{study}/series/{series}/instances/{instance}"


def _attribute(vr: str, value: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}


def _sequence(items: Any) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(items)}


def _reference(outcome: _Outcome) -> dict[str, Any]:
    return {
        "00081150": _attribute("UI", outcome.uids[2]),
        "00081155": _attribute("UI", outcome.uids[3]),
    }
