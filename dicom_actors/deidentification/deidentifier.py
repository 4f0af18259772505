"""The front of de-identification: a profile, its options, a key; data sets in, data sets out.

Standard: PS3.15 E.1 to E.3; PS3.3 C.12.1.1.7 (what the result says of itself).
"""

from __future__ import annotations

from io import BytesIO
from operator import ne
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data import DataSet, write_file
from dicom_actors.data.dataset.data_set import UnreadElement
from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.data.values.unread import UnreadBytes, UnreadFragments
from dicom_actors.deidentification.clean_file import CleanFile, Memory, is_usual, pieces_of
from dicom_actors.deidentification.cleaner import Cleaner, Patient, first_text, value_of
from dicom_actors.deidentification.identity import IdentityCheck, texts_of
from dicom_actors.deidentification.options import CODES, Option, Profile, checked_options
from dicom_actors.deidentification.pixels import (
    Image,
    Pixels,
    blanked,
    matching_region,
    without_bits,
)
from dicom_actors.deidentification.plan import Plans
from dicom_actors.deidentification.replacing import Pseudonyms, Replacing
from dicom_actors.deidentification.report import Report
from dicom_actors.deidentification.rules import Rules
from dicom_actors.deidentification.tables import known_regions
from dicom_actors.errors import NotCleanError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dicom_actors.data.dataset.element_index import ElementIndex

__all__ = ["Deidentifier"]

_PIXEL_DATA: Final = 0x7FE00010
_BURNED_IN: Final = 0x00280301
_VISUAL_FEATURES: Final = 0x00280302
_LONGITUDINAL: Final = 0x00280303
_IDENTITY_REMOVED: Final = 0x00120062
_METHOD: Final = 0x00120063
_METHOD_CODES: Final = 0x00120064
_SOP_INSTANCE: Final = 0x00080018
_DIRECTORY: Final = frozenset({0x00041130, 0x00041200, 0x00041220})
"""File-set ID, the first record's offset, the records: of a directory and nothing else."""

_IDENTIFIERS: Final = (0x00100020, 0x00101000, 0x00100022, 0x00101005, 0x00101060, 0x00102154)
_NAMES: Final = (0x00100010, 0x00101001, 0x00101005, 0x00101060)
_WHO: Final = tuple(dict.fromkeys((*_IDENTIFIERS, *_NAMES)))
_OFTEN_BURNED_IN: Final = frozenset({"US", "ES", "SC", "OT", "IVUS", "XC", "DOC", "GM", "SM", "OP"})
_OVERLAY_GROUPS: Final = range(0x60000000, 0x60200000, 0x20000)
_OVERLAY_POSITION: Final = 0x0102
_OVERLAY_DATA: Final = 0x3000
_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
_HEAD: Final = frozenset({"HEAD", "BRAIN", "FACE", "SKULL", "HEADNECK", "ORBIT", "JAW", "MAXILLA"})
_VOLUMES: Final = frozenset({"CT", "MR", "PT", "NM"})
_PHOTOGRAPHS: Final = frozenset({"XC", "GM"})
_MOST_PATIENTS: Final = 1_000


class Deidentifier:
    """De-identifies data sets by the Basic Application Level Confidentiality Profile.

    The same key gives the same result at any time and in any process: new UIDs, pseudonyms and
    shifts of dates are keyed hashes of the original values. Whoever has the key can tell what an
    original became, so it is a secret.

    Args:
        profile: the profile.
        options: the options of the profile, by their names (`Option`).
        salt: the key, bytes or text, not empty; 16 bytes of chance or more, to be of use.
        rules: own rules, which come before the profile's.
        pseudonyms: what patients and studies are called; those that it lacks get a keyed hash.
        allow_burned_in: take images that say that they have annotation burned in as they are.
        allow_visual_features: take images in which a face can be seen although the option to clean
            them is asked for; for those who have removed it.
        decompress: makes native pixel data of compressed, where a region of it is to be blanked.
        keep_uids: keep a table of all UIDs that were replaced (`uids`).

    Raises:
        ValueError: an option is none, two contradict each other, or there is no salt.
        TypeError: the salt is neither bytes nor text, which is not shown; or rules or pseudonyms
            are none.
    """

    def __init__(
        self,
        profile: str | Profile = Profile.BASIC,
        options: Iterable[str | Option] = (),
        *,
        salt: bytes | str,
        rules: Rules | None = None,
        pseudonyms: Pseudonyms | None = None,
        allow_burned_in: bool = False,
        allow_visual_features: bool = False,
        decompress: Callable[[DataSet], DataSet] | None = None,
        keep_uids: bool = False,
    ) -> None:
        if str(profile) not in {each.value for each in Profile}:
            raise ValueError(f"expected the profile basic, got {str(profile)!r}")
        if not isinstance(salt, bytes | bytearray | str):
            # `bytes` would make as many zeros of a number, which is a key that anybody guesses.
            raise TypeError(f"salt: expected bytes or a text, got {type(salt).__name__}")
        for name, given, kind in (
            ("rules", rules, Rules),
            ("pseudonyms", pseudonyms, Pseudonyms),
        ):
            if given is not None and not isinstance(given, kind):
                raise TypeError(f"{name}: expected {kind.__name__}, got {type(given).__name__}")
        if not salt:
            raise ValueError("expected a salt that is not empty")
        self.profile = Profile(str(profile))
        self.options = checked_options(options)
        self.rules = rules or Rules()
        self._plans = Plans(self.options, self.rules)
        key = salt.encode() if isinstance(salt, str) else bytes(salt)
        self._replacing = Replacing(key, pseudonyms or Pseudonyms(), keeps_uids=keep_uids)
        self._maps_patients = pseudonyms is not None and bool(pseudonyms.patients)
        self._allow_burned_in = allow_burned_in
        self._allow_visual_features = allow_visual_features
        self._decompress = decompress
        self._keeps_private = Option.RETAIN_SAFE_PRIVATE in self.options or any(
            creator for creator, _ in self.rules.by_tag
        )
        self._memory = Memory()
        self._patients: dict[tuple[Any, ...], Patient] = {}
        self._said: dict[int, Any] = self._method()

    @property
    def uids(self) -> Mapping[str, str]:
        """New UIDs by the original ones: all with `keep_uids`, else some of the last."""
        return self._replacing.uids

    def new_uid(self, uid: str) -> str:
        """Return the UID that stands in results for an original one.

        Raises:
            TypeError: it is no text.
        """
        if not isinstance(uid, str):
            raise TypeError(f"uid: expected a text, got {shown(uid)}")
        return uid if Option.RETAIN_UIDS in self.options else self._replacing.uid(uid)

    def deidentify(self, data_set: DataSet, report: Report | None = None) -> DataSet:
        """Make a data set without what identifies the patient; the given one stays as it is.

        The new one shares the bytes of the original one for all that stays, and what is not read of
        it (`read_large`) stays so; where its pixels are cleaned, that is done when they are taken,
        a frame at a time. Its file meta has
        what a file needs, and nothing of the original file's.

        Args:
            data_set: what to de-identify, whole.
            report: is told what is done.

        Raises:
            NotCleanError: its pixels have, or may have, what must be cleaned and cannot be; or it
                is a directory of files (DICOMDIR), of which a new one is made of the results.
            DecodeError: something in it cannot be read.
            TypeError: it is no data set, or the report is none.
        """
        report = _report_for(report)
        mine = Report()
        data_set, replaced = self._prepared(data_set, mine)
        made = self._cleaner(mine).clean(data_set, replaced)
        content_of(made).file_meta = self._file_meta(data_set, made)
        report.add(mine)
        return made

    def clean_file(self, data_set: DataSet, report: Report | None = None) -> CleanFile:
        """Make the bytes of a file as `deidentify` and `write_file` make it, in less time.

        Args:
            data_set: what to de-identify, whole.
            report: is told what is done.

        Raises:
            NotCleanError: see `deidentify`.
            DecodeError: see `deidentify`.
            EncodeError: it cannot be written.
            TypeError: see `deidentify`.
        """
        report = _report_for(report)
        mine = Report()
        prepared, replaced = self._prepared(data_set, mine)
        if not self._keeps_private and is_usual(prepared):
            cleaner = self._cleaner(mine)
            cleaner.begin(prepared)
            found = pieces_of(cleaner, prepared, replaced, self._memory)
            if found is not None:
                cleaner.end()
                report.add(mine)
                return found
        made = self.deidentify(data_set, report)
        buffer = BytesIO()
        write_file(buffer, made)
        meta = made.file_meta
        return CleanFile(
            [buffer.getvalue()],
            str(made.get("StudyInstanceUID") or ""),
            str(made.get("SeriesInstanceUID") or ""),
            str(made.get("SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID") or ""),
        )

    def _cleaner(self, report: Report) -> Cleaner:
        return Cleaner(self._plans, self._replacing, report, self._patient_of)

    def _prepared(self, data_set: DataSet, report: Report) -> tuple[DataSet, dict[int, Any]]:
        """Clean pixels, or refuse them; returns the data set and what is to be put into it."""
        if not isinstance(data_set, DataSet):
            raise TypeError(f"expected a data set, got {type(data_set).__name__}")
        replaced = dict(self._said)
        if not _DIRECTORY.isdisjoint(content_of(data_set).index):
            # File IDs may have names in them, and offsets are right for these bytes alone.
            raise NotCleanError("a directory of files: make one of the results (write_directory)")
        data_set = self._clean_pixels(data_set, replaced, report)
        if self._maps_patients:
            patient_id = first_text(content_of(data_set), 0x00100020)
            if not self._replacing.has_patient(patient_id):
                report.unjudged["PatientID", "not in the mapping: a keyed hash instead"] += 1
        return data_set, replaced

    # --- patients ----------------------------------------------------------------------------

    def _patient_of(self, content: ElementIndex) -> Patient:
        """Find whom a data set is of; where it has no Patient ID, by name, else by study."""
        read = [
            (tag, content.raw_at(tag, item) if isinstance(item, int) else item.value)
            for tag in _WHO
            if (item := content.index.get(tag)) is not None
        ]
        # Text is its bytes in a character set; in items, that of what they are in.
        key = (
            *((tag, bytes(raw) if isinstance(raw, memoryview) else str(raw)) for tag, raw in read),
            content.character_set,
            None if any(raw for _, raw in read) else first_text(content, 0x0020000D),
        )
        patient = self._patients.get(key)
        if patient is None:
            names = [text for tag in _NAMES for text in texts_of(value_of(content, tag))]
            patient_id = (
                first_text(content, 0x00100020)
                or next(iter(names), "").strip()
                or first_text(content, 0x0020000D)
            )
            identifiers = [
                text for tag in _IDENTIFIERS for text in texts_of(value_of(content, tag))
            ]
            raw = [
                bytes(content.raw_at(tag, item))
                for tag in {*_IDENTIFIERS, *_NAMES}
                if isinstance(item := content.index.get(tag), int)
            ]
            patient = Patient(patient_id, IdentityCheck(names, identifiers, raw))
            if len(self._patients) >= _MOST_PATIENTS:
                self._patients.clear()
            self._patients[key] = patient
        return patient

    # --- what the result says of itself ------------------------------------------------------

    def _method(self) -> dict[int, Any]:
        done: list[Profile | Option] = [
            self.profile,
            *(each for each in Option if each in self.options),
        ]
        codes = [
            {
                "CodeValue": CODES[each][0],
                "CodingSchemeDesignator": "DCM",
                "CodeMeaning": CODES[each][1],
            }
            for each in done
        ]
        dates = "REMOVED"
        if Option.RETAIN_FULL_DATES in self.options:
            dates = "UNMODIFIED"
        elif Option.RETAIN_MODIFIED_DATES in self.options:
            dates = "MODIFIED"
        said = DataSet.from_keywords(
            PatientIdentityRemoved="YES",
            DeidentificationMethod=[CODES[each][1] for each in done],
            DeidentificationMethodCodeSequence=codes,
            LongitudinalTemporalInformationModified=dates,
        )
        return {int(element.tag): element for element in said.elements()}

    def _file_meta(self, data_set: DataSet, made: DataSet) -> DataSet:
        """Make the file meta of a result; what the writer knows better it puts right."""
        meta = DataSet()
        given = data_set.file_meta
        sop_class = made.get("SOPClassUID") or given.get("MediaStorageSOPClassUID")
        instance = made.get("SOPInstanceUID")
        if instance is None and given.get("MediaStorageSOPInstanceUID"):
            instance = self.new_uid(str(given.get("MediaStorageSOPInstanceUID")))
        for keyword, value in (
            ("MediaStorageSOPClassUID", sop_class),
            ("MediaStorageSOPInstanceUID", instance),
            ("TransferSyntaxUID", made.transfer_syntax and made.transfer_syntax.uid),
        ):
            if isinstance(value, str) and value:
                meta[keyword] = value
        return meta

    # --- pixels ------------------------------------------------------------------------------

    def _clean_pixels(self, data_set: DataSet, replaced: dict[int, Any], report: Report) -> DataSet:
        content = content_of(data_set)
        if _PIXEL_DATA not in content.index:
            return data_set
        self._clean_overlays(data_set, replaced, report)
        burned_in = first_text(content, _BURNED_IN).upper()
        cleans = Option.CLEAN_PIXEL_DATA in self.options
        modality = first_text(content, 0x00080060).upper()
        if cleans or Option.CLEAN_VISUAL_FEATURES in self.options:
            image = _image_of(content)
            known = _device_of(content, modality)
            region = matching_region((*self.rules.regions, *known_regions()), known, image)
            if region is not None and cleans:
                data_set = self._blank(data_set, image, region.rectangles, replaced)
                replaced[_BURNED_IN] = content.new_element(_BURNED_IN, "CS", "NO")
                burned_in = "NO"
                report.actions["blanked"] += 1
        if cleans and burned_in not in {"YES", "NO"} and modality in _OFTEN_BURNED_IN:
            burned_in = "YES"
            why = f"images of {modality} often have annotation burned in, and no region is known"
        else:
            why = "the image has annotation burned in, and no region of it is known"
        if burned_in == "YES" and not self._allow_burned_in:
            raise NotCleanError(f"{why}: give a region for this device, or allow it")
        if burned_in != "NO" and modality in _OFTEN_BURNED_IN:
            report.unjudged["PixelData", "may have annotation burned in"] += 1
        if Option.CLEAN_VISUAL_FEATURES in self.options:
            self._check_visual_features(content, modality)
            replaced[_VISUAL_FEATURES] = content.new_element(_VISUAL_FEATURES, "CS", "NO")
        return data_set

    def _clean_overlays(self, data_set: DataSet, replaced: dict[int, Any], report: Report) -> None:
        """Blank overlays that are in the pixel data: what is drawn there is text, often enough."""
        content, syntax = content_of(data_set), data_set.transfer_syntax
        positions = [
            position
            for group in _OVERLAY_GROUPS
            if group | _OVERLAY_POSITION in content.index
            and group | _OVERLAY_DATA not in content.index
            and isinstance(position := value_of(content, group | _OVERLAY_POSITION), int)
            and position > 0
        ]
        if not positions:
            return
        pixels = _pixels_of(content)
        if not isinstance(pixels, bytes | memoryview | UnreadBytes):
            report.unjudged["PixelData", "may have overlays in bits that are not used"] += 1
            return
        image = _image_of(content)
        # Words of 16 bits came in order when they were read; wider samples did not.
        is_big_endian = syntax is not None and syntax.uid == _BIG_ENDIAN
        if is_big_endian and content.vr_of(_PIXEL_DATA) == "OW":
            is_big_endian = False
            if image.bits > 16:
                raise NotCleanError("overlays cannot be removed from wide samples in big endian")
        try:
            made = without_bits(pixels, image, positions, is_big_endian=is_big_endian)
        except ValueError as error:
            raise NotCleanError(f"overlays cannot be removed from pixel data: {error}") from error
        if _differ(made, pixels):
            replaced[_PIXEL_DATA] = _element_of(content, made)
            report.actions["blanked"] += 1

    def _check_visual_features(self, content: ElementIndex, modality: str) -> None:
        said = first_text(content, _VISUAL_FEATURES).upper()
        body_part = first_text(content, 0x00180015).upper()
        shows_face = modality in _PHOTOGRAPHS or (
            modality in _VOLUMES and (body_part in _HEAD or not body_part)
        )
        if self._allow_visual_features or said == "NO":
            return
        if said == "YES" or shows_face:
            raise NotCleanError(
                "a face may be recognized in this image: remove it by other means, and set "
                "Recognizable Visual Features to NO, or allow it"
            )

    def _blank(
        self,
        data_set: DataSet,
        image: Image,
        rectangles: tuple[tuple[int, int, int, int], ...],
        replaced: dict[int, Any],
    ) -> DataSet:
        """Blank regions; returns the data set, decompressed if need be."""
        content = content_of(data_set)
        pixels = _pixels_of(content)
        if _PIXEL_DATA in replaced:
            made = replaced[_PIXEL_DATA]
            pixels = made.value if made.unread is None else made.unread
        if isinstance(pixels, EncapsulatedPixelData | UnreadFragments):
            if self._decompress is None:
                raise NotCleanError(
                    "regions of compressed pixel data cannot be blanked without decompressing it"
                )
            data_set = self._decompress(data_set)
            content = content_of(data_set)
            image = _image_of(content)
            pixels = _pixels_of(content)
        if not isinstance(pixels, bytes | memoryview | UnreadBytes):
            raise NotCleanError("expected pixel data as bytes")
        try:
            made = blanked(pixels, image, rectangles)
        except ValueError as error:
            raise NotCleanError(f"the region cannot be blanked: {error}") from error
        replaced[_PIXEL_DATA] = _element_of(content, made)
        return data_set


def _pixels_of(content: ElementIndex) -> Any:
    """The value of pixel data, or what is not read of it."""
    item = content.index[_PIXEL_DATA]
    unread = None if isinstance(item, int) else item.unread
    return value_of(content, _PIXEL_DATA) if unread is None else unread


def _element_of(content: ElementIndex, made: Pixels) -> Any:
    vr = content.vr_of(_PIXEL_DATA)
    if isinstance(made, UnreadBytes):
        return UnreadElement(_PIXEL_DATA, vr, made, None)
    return content.new_element(_PIXEL_DATA, vr, made)


def _differ(made: Any, given: Any) -> bool:
    if isinstance(made, UnreadBytes):
        return any(map(ne, made.chunks(), given.chunks()))
    return bool(made != given)


def _image_of(content: ElementIndex) -> Image:
    def number(tag: int, default: int) -> int:
        value = value_of(content, tag)
        return int(value) if isinstance(value, int | float) and value >= 0 else default

    bits = number(0x00280100, 0)
    return Image(
        number(0x00280010, 0),
        number(0x00280011, 0),
        number(0x00280008, 1),
        number(0x00280002, 1),
        bits,
        number(0x00280101, bits),
        number(0x00280006, 0) == 1,
        first_text(content, 0x00280004).upper(),
    )


def _device_of(content: ElementIndex, modality: str) -> dict[str, str]:
    return {
        "modality": modality,
        "manufacturer": first_text(content, 0x00080070).upper(),
        "model": first_text(content, 0x00081090).upper(),
        "image_type": "\\".join(texts_of(value_of(content, 0x00080008))).upper(),
    }


def _report_for(report: Report | None) -> Report:
    if report is None:
        return Report()
    if not isinstance(report, Report):
        raise TypeError(f"report: expected a Report, got {shown(report)}")
    return report
