"""Overlays: planes of single bits in groups 60xx, of their own or within the pixels.

Standard: PS3.3 C.9.2 (Overlay Plane), C.9.3 (multi-frame); PS3.5 8.1.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dicom_actors.errors import DecodeError, ElementNotFoundError
from dicom_actors.pixels.description import DEFAULT_LIMITS, PixelLimits
from dicom_actors.pixels.frame_source import FrameSource, native_bytes
from dicom_actors.pixels.native import decode_native, unpack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dicom_actors.data import DataSet

__all__ = ["draw_overlay", "is_embedded", "overlay", "overlay_groups", "overlay_origin"]

_GROUPS: Final = range(0x6000, 0x6020, 2)
_ROWS, _COLUMNS, _FRAMES = 0x0010, 0x0011, 0x0015
_ORIGIN, _FIRST_FRAME = 0x0050, 0x0051
_BIT_POSITION, _DATA = 0x0102, 0x3000


def overlay_groups(data_set: DataSet) -> list[int]:
    """Return the groups that have an overlay, such as ``[0x6000]``."""
    return [
        group
        for group in _GROUPS
        if _element(group, _DATA) in data_set or is_embedded(data_set, group)
    ]


def is_embedded(data_set: DataSet, group: int) -> bool:
    """Whether an overlay is in bits of the pixels that are not stored (retired)."""
    position = _number(data_set, group, _BIT_POSITION, 0)
    allocated = data_set.get("BitsAllocated")
    return (
        _element(group, _DATA) not in data_set
        and _element(group, _BIT_POSITION) in data_set
        and _element(group, _ROWS) in data_set
        and isinstance(allocated, int)
        and 0 < position < allocated
    )


def overlay(
    data_set: DataSet,
    group: int = 0x6000,
    number: int = 0,
    *,
    source: FrameSource | None = None,
    limits: PixelLimits = DEFAULT_LIMITS,
) -> NDArray[np.bool_] | None:
    """Return an overlay.

    Args:
        data_set: the data set.
        group: one of `overlay_groups`.
        number: for which frame of the image, from 0.
        source: where its frames are, if that is known.
        limits: what it may cost.

    Returns:
        An array of shape (rows, columns) of the overlay, which need not be those of the image;
        None if there is none for that frame.

    Raises:
        ElementNotFoundError: there is no such overlay.
        DecodeError: it is damaged, or goes beyond a limit.
    """
    rows = _number(data_set, group, _ROWS, 0)
    columns = _number(data_set, group, _COLUMNS, 0)
    pixels = rows * columns
    if group not in overlay_groups(data_set):
        raise ElementNotFoundError(f"no overlay in group {group:04X}", tag=_element(group, _DATA))
    if rows < 1 or columns < 1 or pixels > limits.max_frame_bytes:
        raise DecodeError(
            f"expected an overlay of at most {limits.max_frame_bytes} pixels, got {rows} x"
            f" {columns}",
            tag=_element(group, _ROWS),
        )
    if is_embedded(data_set, group):
        return _embedded(data_set, group, number, source or FrameSource(data_set, limits))
    count = _number(data_set, group, _FRAMES, 1)
    plane = number - (_number(data_set, group, _FIRST_FRAME, 1) - 1)
    if count <= 1 and _element(group, _FRAMES) not in data_set:
        plane = 0  # one for all frames
    if not 0 <= plane < max(count, 1):
        return None
    data = data_set[_element(group, _DATA)]
    if not isinstance(data, bytes | memoryview) or len(data) * 8 < (plane + 1) * pixels:
        raise DecodeError(
            f"expected {(plane + 1) * pixels} bits of Overlay Data, got"
            f" {len(data) * 8 if isinstance(data, bytes | memoryview) else 0}",
            tag=_element(group, _DATA),
        )
    first = plane * pixels
    bits = unpack(memoryview(data)[first // 8 :], 1, pixels, first_bit=first % 8)
    return bits.reshape(rows, columns).view(np.bool_)


def overlay_origin(data_set: DataSet, group: int) -> tuple[int, int]:
    """Return the row and the column of the image at which an overlay begins, from 0."""
    origin = data_set.get(_element(group, _ORIGIN))
    if isinstance(origin, list) and len(origin) == 2 and all(isinstance(n, int) for n in origin):
        return int(origin[0]) - 1, int(origin[1]) - 1
    return 0, 0


def draw_overlay(
    picture: NDArray[Any], plane: NDArray[np.bool_], origin: tuple[int, int], shade: Any
) -> None:
    """Set the pixels of a picture that an overlay marks; what is outside is left out."""
    top, left = origin
    rows, columns = picture.shape[:2]
    first_row, first_column = max(top, 0), max(left, 0)
    last_row = min(top + plane.shape[0], rows)
    last_column = min(left + plane.shape[1], columns)
    if first_row >= last_row or first_column >= last_column:
        return
    part = plane[first_row - top : last_row - top, first_column - left : last_column - left]
    picture[first_row:last_row, first_column:last_column][part] = shade


def _embedded(data_set: DataSet, group: int, number: int, source: FrameSource) -> NDArray[np.bool_]:
    array = decode_native(native_bytes(source, number), source.description)[0]
    if array.ndim != 2:
        raise DecodeError("expected an overlay within pixels of one sample")
    position = _number(data_set, group, _BIT_POSITION, 0)
    plane: NDArray[np.bool_] = np.not_equal(np.right_shift(array, position) & 1, 0)
    return plane


def _element(group: int, element: int) -> int:
    return group << 16 | element


def _number(data_set: DataSet, group: int, element: int, default: int) -> int:
    value = data_set.get(_element(group, element))
    return value if isinstance(value, int) else default
