"""Which transfer syntax an object is given, where several would do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dicom_actors.data import TransferSyntax
from dicom_actors.errors import DataError, UnsupportedTransferSyntaxError
from dicom_actors.pixels.codecs import CODECS
from dicom_actors.pixels.description import DEFAULT_LIMITS, PixelLimits
from dicom_actors.pixels.transcoding import transcode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.data import DataSet
    from dicom_actors.pixels.codecs import Codecs

__all__ = ["Transcoder", "transcode_to_one_of"]

_PREFERRED: Final = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian, which everybody can read
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.4.80",  # JPEG-LS, which is small and quick
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000
    "1.2.840.10008.1.2.4.50",  # JPEG, of those that lose information the best known
    "1.2.840.10008.1.2.4.51",
)


@dataclass(frozen=True, slots=True)
class Transcoder:
    """`transcode_to_one_of` with its settings, for ``transcode=`` of what sends objects.

    Attributes:
        is_lossy: whether, where nothing else is accepted, an object is sent in a transfer syntax
            that loses information: as another instance (see `transcode`), always the same one.
        codecs: see `transcode`; those of `dicom_actors.codec_process` run beside this process.
        limits: likewise.
    """

    is_lossy: bool = False
    codecs: Codecs = field(default_factory=lambda: CODECS, repr=False)
    limits: PixelLimits = DEFAULT_LIMITS

    def __call__(self, data_set: DataSet, transfer_syntaxes: Iterable[str]) -> DataSet:
        """Return the data set in one of these, lazily; see `transcode_to_one_of`."""
        return transcode_to_one_of(
            data_set,
            transfer_syntaxes,
            lossy=self.is_lossy,
            lazily=True,
            codecs=self.codecs,
            limits=self.limits,
        )


def transcode_to_one_of(
    data_set: DataSet,
    transfer_syntaxes: Iterable[str],
    *,
    lossy: bool = False,
    lazily: bool = False,
    codecs: Codecs = CODECS,
    limits: PixelLimits = DEFAULT_LIMITS,
) -> DataSet:
    """Return a data set in one of several transfer syntaxes, such as those that a peer accepts.

    Uncompressed ones come first, then those that keep everything.

    Args:
        data_set: the data set.
        transfer_syntaxes: UIDs of those that will do.
        lossy: whether, if nothing else does, it may be one that loses information. Then it is an
            instance of its own (see `transcode`).
        lazily: see `transcode`.
        codecs: likewise.
        limits: likewise.

    Raises:
        UnsupportedTransferSyntaxError: none of them will do.
        DataError: why the last one that was tried did not.
    """
    wanted = [TransferSyntax.as_read(uid) for uid in transfer_syntaxes]
    usable = []
    for target in wanted:
        codec = codecs.get(target.uid)
        if not target.is_encapsulated or (
            codec is not None and codec.encode is not None and (lossy or not codec.is_lossy)
        ):
            usable.append(target)

    def rank(target: TransferSyntax) -> tuple[bool, int]:
        codec = codecs.get(target.uid)
        is_lossy = target.is_encapsulated and codec is not None and codec.is_lossy
        place = _PREFERRED.index(target.uid) if target.uid in _PREFERRED else len(_PREFERRED)
        return is_lossy, place

    failure: DataError | None = None
    for target in sorted(usable, key=rank):
        try:
            return transcode(data_set, target, lazily=lazily, codecs=codecs, limits=limits)
        except DataError as error:
            failure = error
    if failure is not None:
        raise failure
    names = ", ".join(map(str, wanted)) or "none"
    raise UnsupportedTransferSyntaxError(f"cannot be transcoded to what is accepted: {names}")
