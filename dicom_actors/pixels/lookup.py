"""From stored values to what is measured, and to shades of gray.

Modality LUT or rescale, then VOI LUT or window, then the presentation shape. What stands in the
functional groups of a frame counts before what is shared by all, and that before the data set.

Standard: PS3.3 C.11.1 (Modality LUT), C.11.2 (VOI LUT), C.11.6 (Presentation LUT Shape),
C.7.6.16.2.9 and C.7.6.16.2.10 (the same for a frame), C.7.5.1.1.2 (Pixel Padding Value).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dicom_actors.errors import DecodeError
from dicom_actors.pixels.color import lut_descriptor, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from dicom_actors.pixels.description import ImageDescription

    WindowLike = tuple[float, float] | tuple[float, float, str] | int | str | None

__all__ = [
    "Window",
    "frame_attributes",
    "gray_scale",
    "is_inverse",
    "modality_values",
    "padding_mask",
    "windows_of",
]

_MIN_MAX: Final = "minmax"
_TABLE_FROM: Final = 1 << 17
_FUNCTIONS: Final = frozenset({"LINEAR", "LINEAR_EXACT", "SIGMOID"})


class Window(NamedTuple):
    """A window (PS3.3 C.11.2.1.2).

    Attributes:
        center: Window Center.
        width: Window Width, above 0; 1 at least with the function LINEAR.
        function: VOI LUT Function: LINEAR, LINEAR_EXACT or SIGMOID.
    """

    center: float
    width: float
    function: str = "LINEAR"

    def checked(self) -> Window:
        """Return it.

        Raises:
            DecodeError: the width or the function is none.
        """
        if self.function not in _FUNCTIONS:
            raise DecodeError(f"expected a VOI LUT Function, got {self.function!r:.60}")
        least = 1.0 if self.function == "LINEAR" else np.nextafter(0.0, 1.0)
        if not (np.isfinite(self.center) and least <= self.width < np.inf):
            raise DecodeError(
                f"expected a Window Width of {'1' if least == 1 else 'more than 0'}"
                f" and more, got {self.center:g} with {self.width:g}"
            )
        return self

    def apply(self, values: NDArray[Any], top: float = 255.0) -> NDArray[np.float64]:
        """Return values between 0 and `top`."""
        center, width = self.center, self.width
        values = values.astype(np.float64)
        if self.function == "SIGMOID":
            with np.errstate(over="ignore"):
                shown: NDArray[np.float64] = top / (1 + np.exp(-4 * (values - center) / width))
            return shown
        if self.function == "LINEAR":
            center, width = center - 0.5, width - 1
        if width == 0:
            return np.where(values > center, top, 0.0)
        shown = ((values - center) / width + 0.5) * top
        return np.clip(shown, 0, top, out=shown)


def frame_attributes(data_set: Mapping[Any, Any], number: int, sequence: str) -> Mapping[Any, Any]:
    """Return where the attributes of a frame are: an item of its groups, or the data set.

    Args:
        data_set: the data set.
        number: which frame, from 0.
        sequence: the functional group, such as ``"FrameVOILUTSequence"``.
    """
    for groups, at in (
        ("PerFrameFunctionalGroupsSequence", number),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        items = data_set.get(groups)
        if not isinstance(items, list) or not 0 <= at < len(items):
            continue
        found = items[at].get(sequence)
        if isinstance(found, list) and found:
            item: Mapping[Any, Any] = found[0]
            return item
    return data_set


def _numbers(attributes: Mapping[Any, Any], keyword: str) -> list[float]:
    value = attributes.get(keyword)
    values = value if isinstance(value, list) else [] if value is None else [value]
    try:
        return [float(number) for number in values if number is not None]
    except (TypeError, ValueError) as error:
        raise DecodeError(f"expected numbers in {keyword}, got {value!r:.60}") from error


class _Table(NamedTuple):
    """A Modality or VOI LUT."""

    first: int
    bits: int
    entries: NDArray[Any]

    def apply(self, values: NDArray[Any]) -> NDArray[Any]:
        at = np.clip(values.astype(np.float64) - self.first, 0, len(self.entries) - 1)
        return self.entries[at.astype(np.intp)]


def _table_of(item: Mapping[Any, Any], *, is_signed: bool) -> _Table:
    entries, first, bits = lut_descriptor(
        item.get("LUTDescriptor"), "LUTDescriptor", is_signed=is_signed
    )
    return _Table(first, bits, words_of(item.get("LUTData"), "LUTData", entries, bits=bits))


def _first_item(data_set: Mapping[Any, Any], sequence: str) -> Mapping[Any, Any] | None:
    items = data_set.get(sequence)
    return items[0] if isinstance(items, list) and items else None


def _is_signed(data_set: Mapping[Any, Any]) -> bool:
    return data_set.get("PixelRepresentation") == 1


def _modality(
    data_set: Mapping[Any, Any], number: int
) -> Callable[[NDArray[Any]], NDArray[Any]] | None:
    """Return what makes measured values of stored ones; None: nothing does."""
    item = _first_item(data_set, "ModalityLUTSequence")
    if item is not None:
        return _table_of(item, is_signed=_is_signed(data_set)).apply
    attributes = frame_attributes(data_set, number, "PixelValueTransformationSequence")
    slope = (_numbers(attributes, "RescaleSlope") or [1.0])[0]
    intercept = (_numbers(attributes, "RescaleIntercept") or [0.0])[0]
    if (slope, intercept) == (1.0, 0.0):
        return None
    return lambda values: values * np.float64(slope) + intercept


def modality_values(
    array: NDArray[Any], data_set: Mapping[Any, Any], number: int = 0
) -> NDArray[Any]:
    """Return what was measured, such as Hounsfield units, of stored values.

    Args:
        array: a frame as `frame` gives it.
        data_set: the data set that it is from.
        number: which frame it is, from 0.

    Returns:
        Floats of 64 bits where there is a rescale, the entries of the Modality LUT where there
        is one, else the same array.

    Raises:
        DecodeError: the table, slope or intercept is damaged.

    Standard: PS3.3 C.11.1.
    """
    apply = _modality(data_set, number)
    return array if apply is None else apply(array)


def windows_of(data_set: Mapping[Any, Any], number: int = 0) -> list[Window]:
    """Return the windows of a frame, in order; those that are impossible are left out."""
    attributes = frame_attributes(data_set, number, "FrameVOILUTSequence")
    function = attributes.get("VOILUTFunction")
    if function not in _FUNCTIONS:
        function = "LINEAR"
    found = []
    centers, widths = _numbers(attributes, "WindowCenter"), _numbers(attributes, "WindowWidth")
    for center, width in zip(centers, widths, strict=False):
        try:
            found.append(Window(center, width, function).checked())
        except DecodeError:
            continue
    return found


def padding_mask(array: NDArray[Any], data_set: Mapping[Any, Any]) -> NDArray[np.bool_] | None:
    """Return which pixels of a frame are padding; None if there is no such value."""
    values = _numbers(data_set, "PixelPaddingValue")[:1]
    if not values:
        return None
    values += _numbers(data_set, "PixelPaddingRangeLimit")[:1]
    low, high = min(values), max(values)
    mask: NDArray[np.bool_] = np.logical_and(array >= low, array <= high)
    return mask


def is_inverse(data_set: Mapping[Any, Any], description: ImageDescription) -> bool:
    """Whether low values are to be bright."""
    shape = data_set.get("PresentationLUTShape")
    return description.photometric == "MONOCHROME1" or shape == "INVERSE"


def gray_scale(
    array: NDArray[Any],
    data_set: Mapping[Any, Any],
    description: ImageDescription,
    number: int = 0,
    window: WindowLike = None,
) -> NDArray[np.uint8]:
    """Return a frame in 256 shades of gray, 0 black.

    Args:
        array: a frame as `frame` gives it, of one sample.
        data_set: the data set that it is from.
        description: what that says of its pixels.
        number: which frame it is, from 0.
        window: center and width, and the VOI LUT Function if it is not LINEAR; or which of the
            windows of the data set, from 0; or ``"minmax"``, from the lowest to the highest value
            of the frame that is no padding. None: the first window there is, else the VOI LUT,
            else ``"minmax"``.

    Raises:
        DecodeError: there is no such window, or a table is damaged.
    """
    modality = _modality(data_set, number)
    shade = _shade(array, data_set, description, number, window, modality)
    inverse = is_inverse(data_set, description)

    def shown(values: NDArray[Any]) -> NDArray[np.uint8]:
        measured = values if modality is None else modality(values)
        shades = np.rint(shade(measured)).astype(np.uint8)
        made: NDArray[np.uint8] = np.bitwise_not(shades) if inverse else shades
        return made

    if array.dtype.kind in "ui" and array.size:
        low, high = int(array.min()), int(array.max())
        if high - low < max(array.size, _TABLE_FROM):
            table = shown(np.arange(low, high + 1))
            shades: NDArray[np.uint8] = table.take(np.subtract(array, low, dtype=np.intp))
            return shades
    return shown(array)


def _shade(
    array: NDArray[Any],
    data_set: Mapping[Any, Any],
    description: ImageDescription,
    number: int,
    window: WindowLike,
    modality: Callable[[NDArray[Any]], NDArray[Any]] | None,
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return what makes shades of 0 to 255 of measured values."""
    if isinstance(window, tuple):
        return Window(*window).checked().apply
    if isinstance(window, int):
        found = windows_of(data_set, number)
        if not 0 <= window < len(found):
            raise DecodeError(f"no window {window}, there are {len(found)}")
        return found[window].apply
    if window is None:
        found = windows_of(data_set, number)
        if found:
            return found[0].apply
        item = _first_item(
            frame_attributes(data_set, number, "FrameVOILUTSequence"), "VOILUTSequence"
        )
        if item is not None:
            table = _table_of(item, is_signed=_goes_below(description, modality))
            top = float((1 << table.bits) - 1)
            if table.bits > 8 and int(table.entries.max(initial=0)) < 256:
                top = 255.0  # declared as more and written as 8
            return lambda values: np.minimum(table.apply(values) * (255.0 / top), 255.0)
    elif window != _MIN_MAX:
        raise DecodeError(f"expected a window or {_MIN_MAX!r}, got {window!r:.60}")
    return _min_max(array, data_set, modality)


def _goes_below(
    description: ImageDescription,
    modality: Callable[[NDArray[Any]], NDArray[Any]] | None,
) -> bool:
    """Whether measured values may be negative."""
    if modality is None:
        return description.is_signed
    ends = np.array([-(1 << description.bits_stored - 1) if description.is_signed else 0])
    return bool(modality(ends)[0] < 0)


def _min_max(
    array: NDArray[Any],
    data_set: Mapping[Any, Any],
    modality: Callable[[NDArray[Any]], NDArray[Any]] | None,
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    padding = padding_mask(array, data_set)
    counted = array if padding is None or padding.all() else array[~padding]
    if counted.dtype.kind == "f":
        counted = counted[np.isfinite(counted)]
    if not counted.size:
        return lambda values: np.zeros(values.shape)
    ends = np.array([counted.min(), counted.max()])
    if modality is not None and _first_item(data_set, "ModalityLUTSequence") is not None:
        ends = modality(counted)
    elif modality is not None:
        ends = modality(ends)
    low, high = float(ends.min()), float(ends.max())
    if high <= low:
        return lambda values: np.zeros(values.shape)
    width = high - low

    def apply(values: NDArray[Any]) -> NDArray[Any]:
        shades = np.clip((values.astype(np.float64) - low) * (255.0 / width), 0, 255)
        return np.nan_to_num(shades, copy=False)

    return apply
