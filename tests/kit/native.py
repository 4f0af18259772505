"""The compiled scan, switched on and off; the suite runs without it with DICOM_ACTORS_PURE=1."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from dicom_actors.actors.storing import identity
from dicom_actors.data.dataset import as_read, data_set, element_index
from dicom_actors.data.files import part10
from dicom_actors.data.scan import elements, native, selection

if TYPE_CHECKING:
    from collections.abc import Iterator

IS_BUILT = native.index_usual is not None


def switch(*, is_on: bool) -> None:
    """Use the compiled scan from now on, or do not."""
    elements.items_usual = native.items_usual if is_on else None
    element_index.data_sets_usual = native.data_sets_usual if is_on else None
    data_set.runs_usual = native.runs_usual if is_on else None
    element_index.values_usual = native.values_usual if is_on else None
    elements.index_usual = identity.index_usual = native.index_usual if is_on else None
    as_read.offsets_usual = native.offsets_usual if is_on else None
    identity.uids_usual = native.uids_usual if is_on else None
    part10.meta_usual = native.meta_usual if is_on else None
    selection.pick_usual = native.pick_usual if is_on else None
    selection.Selection.of.cache_clear()


def is_on() -> bool:
    """Whether the compiled scan is in use."""
    return elements.index_usual is not None


@contextlib.contextmanager
def switched(*, to: bool) -> Iterator[None]:
    """Use the compiled scan for a while, or do not."""
    before = is_on()
    switch(is_on=to)
    try:
        yield
    finally:
        switch(is_on=before)
