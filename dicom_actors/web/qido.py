"""QIDO-RS: what is asked for in an address, as an identifier, and the answers as JSON.

Matching is that of C-FIND, on the same index, by the same code.

Standard: PS3.18 8.3.4, 10.6.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from dicom_actors import DataSet, DimseFailure, Tag
from dicom_actors.archive.query import Paging, Settings, find_page, find_page_as_json
from dicom_actors.errors import ArchiveError, DataError
from dicom_actors.web.accept import Offer, choose
from dicom_actors.web.exchange import DICOM_JSON, HttpError, Response, compressed
from dicom_actors.web.holdings import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dicom_actors.web.exchange import Request
    from dicom_actors.web.holdings import Held

__all__ = ["Searches", "identifier_of", "json_offers", "number_in"]

_SERIES: Final = (
    "Modality SeriesDescription SeriesInstanceUID SeriesNumber NumberOfSeriesRelatedInstances"
    " PerformedProcedureStepStartDate PerformedProcedureStepStartTime RequestAttributesSequence"
    " InstanceAvailability"
)
_STUDY: Final = (
    "StudyDate StudyTime AccessionNumber ModalitiesInStudy ReferringPhysicianName PatientName"
    " PatientID PatientBirthDate PatientSex StudyInstanceUID StudyID StudyDescription"
    " NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances InstanceAvailability"
)
_INSTANCE: Final = (
    "SOPClassUID SOPInstanceUID InstanceNumber Rows Columns BitsAllocated NumberOfFrames"
    " AvailableTransferSyntaxUID InstanceAvailability"
)
_UIDS: Final = "StudyInstanceUID SeriesInstanceUID"
_WORKITEM: Final = (
    "SOPClassUID SOPInstanceUID ProcedureStepState ScheduledProcedureStepPriority"
    " ProcedureStepLabel WorklistLabel InputReadinessState ScheduledProcedureStepStartDateTime"
    " ScheduledProcedureStepModificationDateTime ScheduledWorkitemCodeSequence PatientName"
    " PatientID PatientBirthDate PatientSex StudyInstanceUID"
)
_UNASKED: Final = {
    # By level, and by what the path says already.
    ("STUDY", 0): _STUDY,
    ("SERIES", 0): f"{_STUDY} {_SERIES}",
    ("SERIES", 1): f"{_UIDS} {_SERIES}",
    ("IMAGE", 0): f"{_STUDY} {_SERIES} {_INSTANCE}",
    ("IMAGE", 1): f"{_UIDS} {_SERIES} {_INSTANCE}",
    ("IMAGE", 2): f"{_UIDS} {_INSTANCE}",
    ("WORKITEM", 0): _WORKITEM,
}
"""What answers have unasked (PS3.18 10.6.3.3), and the description of a study."""
_IN_PATH: Final = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID"}
_RESERVED: Final = frozenset(
    {"limit", "offset", "fuzzymatching", "includefield", "accept", "charset", "sort",
     "emptyvaluematching", "multiplevaluematching"}
)  # fmt: skip
_MOST_KEYS: Final = 300
_CHARACTER_SET: Final = (0x00080005,)
_LEVEL: Final = (0x00080052,)
_RETRIEVE_URL: Final = "00081190"
_MADE_OF_TEXT: Final[dict[str, Callable[[str], Any]]] = {
    **dict.fromkeys(("SL", "SS", "SV", "UL", "US", "UV"), int),
    **dict.fromkeys(("FD", "FL"), float),
    "AT": Tag,
}
"""What values are made of those that are text in an address alone."""
_ALWAYS_SPLIT: Final = frozenset({"CS", "DA", "DS", "DT", "IS", "TM", "UI", *_MADE_OF_TEXT})
"""VRs whose values have no comma, so that one stands between two of them."""
_MOST_AT_ONCE: Final = 64


class Searches:
    """Handlers of searches.

    Args:
        held: the archive.
        max_results: of a search without a limit.
    """

    def __init__(self, held: Held, max_results: int) -> None:
        self._held: Final = held
        self._max_results: Final = max_results
        self._settings: Final = Settings(is_relational=True, max_matches=max_results)

    def studies(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Search for studies."""
        return self._search(request, uids, "STUDY")

    def series(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Search for series, of all studies or of one."""
        return self._search(request, uids, "SERIES")

    def instances(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Search for instances, of all studies, of a study or of a series."""
        return self._search(request, uids, "IMAGE")

    def _search(self, request: Request, uids: Mapping[str, str], level: str) -> Response:
        offer = choose(request, json_offers())
        identifier, has_everything = identifier_of(request, level, uids)
        offset = number_in(request, "offset") or 0
        limit = number_in(request, "limit")
        newest_first = _choice(request, "sort", ("oldest", "newest")) == "newest"
        fuzzy = _choice(request, "fuzzymatching", ("false", "true")) == "true"
        words = _fuzzy_words(identifier) if fuzzy else {}
        base_url = request.base_url
        paging = Paging(
            0 if words else offset,
            None if words or limit is None else limit + 1,
            newest_first,
        )
        texts: Iterator[str]
        try:
            if words or has_everything:
                found = find_page(
                    self._held.archive,
                    identifier,
                    paging,
                    has_everything=has_everything,
                    settings=self._settings,
                )
                if words:
                    found = _page((one for one in found if _is_like(one, words)), offset, limit)
                texts = (json.dumps(_model(one, base_url)) for one in found)
            else:
                texts = find_page_as_json(
                    self._held.archive,
                    identifier,
                    paging,
                    address=partial(_address, base_url),
                    settings=self._settings,
                )
        except DimseFailure as error:
            raise _refused(error) from error
        except ArchiveError as error:
            raise unavailable(error) from error
        if limit is None:
            return _streamed(request, texts, offer.kind)
        try:
            page = list(texts)
        except ArchiveError as error:
            raise unavailable(error) from error
        body = f"[{','.join(page[:limit])}]".encode()
        response = compressed(request, Response.of_bytes(200, body, offer.kind))
        if len(page) > limit:
            response.headers["warning"] = (
                '299 dicom-actors "There are additional results that can be requested."'
            )
        return response


def json_offers() -> list[Offer]:
    """What JSON is sent as."""
    return [Offer(DICOM_JSON), Offer("application/json")]


# --- the query -----------------------------------------------------------------------------


def identifier_of(request: Request, level: str, uids: Mapping[str, str]) -> tuple[DataSet, bool]:
    """Make an identifier of a query.

    Args:
        request: what came.
        level: the Query/Retrieve Level.
        uids: what the path says.

    Returns:
        The identifier, and whether everything is asked for.

    Raises:
        HttpError: 400, a parameter is none.
    """
    if len(request.query) > _MOST_KEYS:
        raise HttpError(400, f"query: expected up to {_MOST_KEYS} parameters")
    identifier = DataSet.from_keywords(SpecificCharacterSet="ISO_IR 192", QueryRetrieveLevel=level)
    for keyword in _UNASKED[level, len(uids)].split():
        identifier.put(keyword, None, None)
    has_everything = False
    for field in chain.from_iterable(value.split(",") for value in request.values("includefield")):
        if field.strip().lower() == "all":
            has_everything = True
        elif field.strip():
            _put(identifier, _tags(field.strip(), "includefield"), [], "includefield")
    keys: dict[tuple[int, ...], list[str]] = {}
    names: dict[tuple[int, ...], str] = {}
    for name, value in request.query:
        if name.lower() in _RESERVED:
            continue
        path = _tags(name, "query")
        if path == _CHARACTER_SET:
            continue  # of what C-FIND is asked; here all is UTF-8
        if path == _LEVEL and value != level:
            raise HttpError(400, f"query: the path says that the level is {level}")
        names[path] = _shown(name)
        keys.setdefault(path, []).append(value)
    for path, values in keys.items():
        vr = _vr(path[-1])
        split = [one for value in values for one in _split(value, vr)]
        _put(identifier, path, split, names[path])
    for name, keyword in _IN_PATH.items():
        if name in uids:
            identifier.put(keyword, "UI", uids[name])
    return identifier, has_everything


def _tags(name: str, where: str) -> tuple[int, ...]:
    """Read a keyword or a tag, or several with dots between them, for items of sequences."""
    parts = name.split(".")
    if len(parts) > 8:
        raise HttpError(400, f"{where}: expected up to 8 sequences in one another")
    found = []
    for part in parts:
        try:
            found.append(int(Tag(part)))
        except (DataError, ValueError, TypeError, KeyError) as error:
            raise HttpError(
                400, f"{where}: expected keywords or tags of 8 digits, not {_shown(part)}"
            ) from error
    return tuple(found)


def _shown(name: str) -> str:
    """A foreign name as it may be shown: what it is made of is what names are made of."""
    return name[:64] if name[:64].replace(".", "").isalnum() and name.isascii() else "that"


def _vr(tag: int) -> str:
    probe = DataSet()
    if Tag(tag).is_private:
        return "LO"
    probe.put(tag, None, None)
    return str(probe.fetch(tag).vr)


def _split(value: str, vr: str) -> list[str]:
    texts = value.split("\\")
    if vr in _ALWAYS_SPLIT:
        texts = [one for text in texts for one in text.split(",")]
    return [text.strip() for text in texts if text.strip()]


def _put(identifier: DataSet, path: tuple[int, ...], values: list[str], name: str) -> None:
    holder = identifier
    try:
        for tag in path[:-1]:
            items = holder.get(tag)
            if not items:
                holder.put(tag, "SQ", [DataSet()])
                items = holder[tag]
            holder = items[0]
        last = path[-1]
        vr = _vr(last)
        if vr == "SQ":
            if last not in holder:
                holder.put(last, "SQ", None)
        elif values or last not in holder:
            made = list(map(_MADE_OF_TEXT.get(vr, str), values))
            holder.put(last, vr, made or None)
    except (DataError, ValueError, TypeError, AttributeError) as error:
        raise HttpError(400, f"{name}: the value is none of its VR") from error


def number_in(request: Request, name: str) -> int | None:
    """Read a number of a query; None if there is none. Raises HttpError 400, it is none."""
    text = request.value(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise HttpError(400, f"{name}: expected a number that is not negative")
    return int(text)


def _choice(request: Request, name: str, choices: tuple[str, ...]) -> str:
    text = (request.value(name) or choices[0]).lower()
    if text not in choices:
        raise HttpError(400, f"{name}: expected {' or '.join(choices)}")
    return text


def _refused(error: DimseFailure) -> HttpError:
    status = 413 if int(error.status) == 0xA700 else 400
    return HttpError(status, f"query: {error.comment or 'the keys cannot be matched'}")


# --- fuzzy matching of names ---------------------------------------------------------------


_BETWEEN_WORDS: Final = str.maketrans("*?^=", "    ")
_FOLDED_OTHERWISE: Final = re.compile("(?i:ss)|[^\0-\x7f\u4e00-\u9fff\uac00-\ud7a3]")
"""What the index may have in another form: ß, for one, and characters whose marks it keeps."""


def _fuzzy_words(identifier: DataSet) -> dict[int, list[str]]:
    """Take the names out of an identifier, as words that a name must have beginnings of.

    The longest of them stays, for the index to find what may match.
    """
    words: dict[int, list[str]] = {}
    for element in list(identifier.elements()):
        if element.vr == "PN" and not element.is_empty:
            text = " ".join(str(value) for value in element.values)
            text = text.translate(_BETWEEN_WORDS)
            words[int(element.tag)] = found = _folded(text)
            longest = max(_in_one_width(text).split(), key=len, default="")
            pattern = _FOLDED_OTHERWISE.sub("*", longest)
            identifier.put(element.tag, "PN", f"*{pattern}*" if found else None)
    return words


def _folded(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.translate(_BETWEEN_WORDS)).casefold()
    bare = "".join(c for c in plain if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", bare).split()


def _in_one_width(text: str) -> str:
    """Composed, and as narrow or wide as the index has it."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(
        c if len(wide := unicodedata.normalize("NFKC", c)) > 1 else wide for c in composed
    )


def _is_like(answer: DataSet, words: Mapping[int, list[str]]) -> bool:
    for tag, wanted in words.items():
        there = _folded(str(answer.get(tag) or ""))
        if not all(any(one.startswith(word) for one in there) for word in wanted):
            return False
    return True


def _page(found: Iterator[DataSet], offset: int, limit: int | None) -> Iterator[DataSet]:
    return islice(found, offset, None if limit is None else offset + limit + 1)


# --- the answers ---------------------------------------------------------------------------


def _model(answer: DataSet, base_url: str) -> dict[str, Any]:
    """Make JSON of an answer, with the address that it is retrieved by."""
    level = str(answer.get("QueryRetrieveLevel") or "")
    for keyword in ("QueryRetrieveLevel", "RetrieveAETitle"):
        if keyword in answer:
            del answer[keyword]
    try:
        model = answer.to_json_dict()
    except DataError:
        _empty_what_is_no_value(answer)
        model = answer.to_json_dict()
    keywords = {"SERIES": _UIDS, "IMAGE": f"{_UIDS} SOPInstanceUID"}.get(level, "StudyInstanceUID")
    uids = [str(answer.get(keyword)) for keyword in keywords.split()]
    model[_RETRIEVE_URL] = {"vr": "UR", "Value": [_address(base_url, uids)]}
    return dict(sorted(model.items()))


def _empty_what_is_no_value(answer: DataSet) -> None:
    """Have nothing stand where an instance has something that is no value of its VR."""
    for element in list(answer.elements()):
        probe = DataSet()
        try:
            probe.put_element(element)
            probe.to_json_dict()
        except DataError:
            answer.put(element.tag, element.vr, None)


def _address(base_url: str, uids: Sequence[str]) -> str:
    """The address of a study, a series or an instance."""
    names = ("studies", "series", "instances")
    return base_url + "".join(f"/{name}/{uid}" for name, uid in zip(names, uids, strict=False))


def _streamed(request: Request, texts: Iterator[str], content_type: str) -> Response:
    """Answer with all, some at a time; what is short is made at once."""
    first = list(islice(texts, _MOST_AT_ONCE))

    def body() -> Iterator[bytes]:
        separator = "["
        rest = first
        while rest:
            yield (separator + ",".join(rest)).encode()
            separator = ","
            rest = list(islice(texts, _MOST_AT_ONCE))
        yield b"]"

    if len(first) < _MOST_AT_ONCE:
        made = Response.of_bytes(200, f"[{','.join(first)}]".encode(), content_type)
    else:
        made = Response(200, {"content-type": content_type}, body(), None)
    return compressed(request, made)
