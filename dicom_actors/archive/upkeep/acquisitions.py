"""What instances say of how many there are of their acquisition.

Images in Acquisition (0020,1002) is "the number of images that resulted from this acquisition of
data" (PS3.3 C.7.6.1). A study all of whose instances say so, and of each of whose acquisitions all
are there, is complete as far as anybody can know.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors import DataSet

__all__ = ["Acquisition", "Acquisitions"]

_IMAGES_IN_ACQUISITION: Final = 0x00201002
_MOST_IMAGES: Final = 1_000_000


class Acquisition(NamedTuple):
    """Of which acquisition an instance is.

    Attributes:
        number: Acquisition UID, else Acquisition Number, else empty; within its series.
        images: Images in Acquisition.
    """

    number: str
    images: int

    @classmethod
    def of(cls, elements: Any, read: Callable[[], DataSet]) -> Acquisition | None:
        """Look what a data set says; None: it says nothing of it, or nothing that can be.

        Args:
            elements: see `describe_elements`.
            read: likewise.
        """
        if elements is not None and _IMAGES_IN_ACQUISITION not in elements.tags:  # as most often
            return None
        data_set = read()
        with contextlib.suppress(DataError, ValueError, TypeError):
            images = data_set.get("ImagesInAcquisition")
            if images is None or not 1 <= int(images) <= _MOST_IMAGES:
                return None
            number = data_set.get("AcquisitionUID") or data_set.get("AcquisitionNumber")
            return cls("" if number is None else str(number), int(images))
        return None


class Acquisitions:
    """Counts them, by study; of a bounded number of studies and acquisitions. Pure.

    Args:
        most_studies: of more the oldest are forgotten.
        most_of_study: acquisitions that are counted; a study with more is never whole.
    """

    def __init__(self, most_studies: int = 500, most_of_study: int = 200) -> None:
        self._most_studies = most_studies
        self._most_of_study = most_of_study
        # Of each acquisition how many there are, and how many there should be.
        self._studies: OrderedDict[str, dict[tuple[str, str], tuple[int, int]]] = OrderedDict()

    def came(self, study: str, series: str, acquisition: Acquisition) -> None:
        """An instance came that was not there before."""
        known = self._studies.setdefault(study, {})
        self._studies.move_to_end(study)
        key = (series, acquisition.number)
        count, images = known.get(key, (0, 0))
        if count or len(known) < self._most_of_study:
            known[key] = (count + 1, max(images, acquisition.images))
        # Else the sum is less than there are, so that the study is never taken to be whole.
        while len(self._studies) > self._most_studies:
            self._studies.popitem(last=False)

    def whole(self, study: str) -> int | None:
        """How many instances a study has if all its acquisitions are whole; None: they are not."""
        known = self._studies.get(study)
        if not known or any(count != images for count, images in known.values()):
            return None
        return sum(count for count, _ in known.values())
