"""DCMTK's `getscu` and pynetdicom are sent what our ``cget`` handlers give."""

from __future__ import annotations

import io
import re
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
import pytest
from kit.dcmtk import run, wheel_files
from kit.endpoints import LIMIT, running
from kit.pynetdicom_user import associate
from pydicom.data import get_testdata_file
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.dsutils import decode
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelGet,
)

from dicom_actors import DataSet, read_file, write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pynetdicom.association import Association

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
)
UNCOMPRESSED = {IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN}
JPEG_2000_LOSSLESS, JPEG_2000 = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
RLE = "1.2.840.10008.1.2.5"
UNKNOWN_TO_GETSCU = {"1.2.840.10008.5.1.4.39.1"}  # color palettes
CT = Path(str(get_testdata_file("CT_small.dcm")))
QUERY = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2")


class Instance:
    """An instance of the corpus, in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        meta = read_file_meta_info(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # files that are not what they say are part of it
            found = pydicom.dcmread(path, specific_tags=["SOPInstanceUID", "SOPClassUID"])
        # In some files the two contradict each other.
        self.uid = str(found.get("SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID", ""))
        self.sop_class = str(found.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID", ""))
        self.syntax = str(meta.TransferSyntaxUID)

    @property
    def data(self) -> bytes:
        """The data set, as it stands in the file."""
        with self.path.open("rb") as file:
            pydicom.filereader.read_preamble(file, force=False)
            pydicom.filereader._read_file_meta_info(file)
            return file.read()


def corpus() -> list[Instance]:
    """What pydicom's wheel has, each instance once, as far as it can be sent.

    Nobody sends directories, what does not say what it is, and what is of odd length but for the
    one that is deflated.
    """
    found: dict[str, Instance] = {}
    for path, _ in wheel_files():
        one = Instance(path)
        is_even = one.syntax == DEFLATED or len(one.data) % 2 == 0
        if one.uid and one.sop_class != "1.2.840.10008.1.3.10" and is_even:
            found.setdefault(one.uid, one)
    return list(found.values())


def getscu(port: int, folder: Path, *options: object) -> dict[str, int]:
    """Ask for instances; returns the counts that the last response had."""
    result = run("getscu", "-v", *options, "-aec", "TEST", "-od", folder, *QUERY, "127.0.0.1", port)
    report = result.stdout + result.stderr
    assert result.returncode == 0, report
    return {
        kind: int(count)
        for kind, count in re.findall(r"Number of (\w+) Suboperations\s*: (\d+)", report)
    }


def received_in(folder: Path) -> dict[str, Instance]:
    """What came, by the SOP Instance UID."""
    found = map(Instance, folder.iterdir())
    return {one.uid: one for one in found}


def counts(completed: int, failed: int) -> dict[str, int]:
    return {"Remaining": 0, "Completed": completed, "Failed": failed, "Warning": 0}


def converted(source: Path, target: Path, option: str) -> pydicom.Dataset:
    """A file in another transfer syntax, by DCMTK."""
    assert run("dcmconv", option, source, target).returncode == 0, source
    return pydicom.dcmread(target)


@pytest.mark.parametrize("options", [("-S",), ("-P", "-xi"), ("-O", "-xd"), ("-S", "-pdu", 4096)])
def test_getscu_gets_the_corpus(tmp_path: Path, options: tuple[object, ...]) -> None:
    """What is in the accepted transfer syntax comes bit by bit, what is compressed not at all."""
    instances = corpus()
    plain = {
        one.uid: one
        for one in instances
        if one.syntax in UNCOMPRESSED and one.sop_class not in UNKNOWN_TO_GETSCU
    }
    assert len(plain) > 60
    folder = tmp_path / "received"
    folder.mkdir()
    with running({"cget": lambda event: [one.path for one in instances]}) as endpoint:
        found = getscu(endpoint.port, folder, "+B", *options)
        assert found == counts(len(plain), len(instances) - len(plain))
    received = received_in(folder)
    assert received.keys() == plain.keys()
    for uid, one in received.items():
        assert one.syntax == EXPLICIT
        if plain[uid].syntax == EXPLICIT:
            assert one.data == plain[uid].data, plain[uid].path


@pytest.mark.parametrize(
    ("option", "accepted", "syntax", "to"),
    [
        ("+x=", (IMPLICIT,), IMPLICIT, "+ti"),
        ("+xb", (BIG_ENDIAN,), BIG_ENDIAN, "+tb"),
        ("+xd", (DEFLATED,), DEFLATED, "+te"),
        ("+xe", (EXPLICIT,), EXPLICIT, "+te"),
    ],
)
def test_getscu_gets_uncompressed_ones_converted(
    tmp_path: Path, option: str, accepted: Sequence[str], syntax: str, to: str
) -> None:
    names = (
        "CT_small.dcm", "rtplan.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "reportsi.dcm"
    )  # fmt: skip
    sources = {one.uid: one for name in names if (one := Instance(corpus_file(name)))}
    assert {one.syntax for one in sources.values()} == UNCOMPRESSED
    folder = tmp_path / "received"
    folder.mkdir()
    handlers = {"cget": lambda event: [one.path for one in sources.values()]}
    with running(handlers, transfer_syntaxes=accepted) as endpoint:
        assert getscu(endpoint.port, folder, "-S", "+B", option) == counts(len(sources), 0)
    received = received_in(folder)
    assert received.keys() == sources.keys()
    for uid, one in received.items():
        assert one.syntax == syntax
        if sources[uid].syntax == syntax:
            # The one that is deflated lacks its pad byte (PS3.5 A.5).
            data = sources[uid].data
            assert one.data == data + bytes(len(data) % 2)
        expected = converted(sources[uid].path, tmp_path / "converted", to)
        got = converted(one.path, tmp_path / "received.dcm", to)
        assert got == expected, sources[uid].path


def corpus_file(name: str) -> Path:
    return Path(str(get_testdata_file(name)))


@pytest.mark.parametrize(
    ("option", "syntax", "names"),
    [
        ("+xw", JPEG_2000, ["JPEG2000.dcm"]),
        ("+xr", RLE, ["SC_rgb_rle.dcm", "MR_small_RLE.dcm"]),
        ("+xv", JPEG_2000_LOSSLESS, ["MR_small_jp2klossless.dcm"]),
    ],
)
def test_getscu_gets_compressed_ones_bit_by_bit(
    tmp_path: Path, option: str, syntax: str, names: list[str]
) -> None:
    sources = {one.uid: one for one in map(Instance, map(corpus_file, names))}
    assert {one.syntax for one in sources.values()} == {syntax}
    handlers = {"cget": lambda event: [CT, *(one.path for one in sources.values())]}
    with running(handlers, transfer_syntaxes=(syntax, EXPLICIT)) as endpoint:
        # What is not compressed would have to be, for the one transfer syntax of its class.
        assert getscu(endpoint.port, tmp_path, "-S", "+B", option) == counts(len(sources), 1)
    received = received_in(tmp_path)
    assert {uid: one.syntax for uid, one in received.items()} == dict.fromkeys(sources, syntax)
    assert all(one.data == sources[uid].data for uid, one in received.items())


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance of 30 MB."""
    data_set = read_file(CT)
    data_set.SOPInstanceUID = "1.2.3.99"
    data_set.Rows = data_set.Columns = 3872
    data_set.PixelData = bytes(range(256)) * (3872 * 3872 * 2 // 256)
    path = tmp_path_factory.mktemp("long") / "long.dcm"
    write_file(path, data_set)
    return path


@pytest.mark.parametrize("options", [("-pdu", 4096), ("-pdu", 131072)])
def test_getscu_gets_a_long_one(tmp_path: Path, long: Path, options: tuple[object, ...]) -> None:
    with running({"cget": lambda event: [CT, long, CT]}) as endpoint:
        assert getscu(endpoint.port, tmp_path, "-S", "+B", *options) == counts(3, 0)
    received = received_in(tmp_path)
    assert received["1.2.3.99"].data == Instance(long).data


# --- pynetdicom ------------------------------------------------------------------------------


class Getter:
    """pynetdicom as a user of C-GET; keeps what comes.

    Args:
        contexts: storage SOP classes and transfer syntaxes, each a context of its own.
        answers: what it answers to the C-STOREs, one after the other; then Success.
        on_store: called with each event.
    """

    def __init__(
        self,
        *contexts: tuple[str, str],
        answers: Sequence[int] = (),
        on_store: Callable[[Any], None] = lambda event: None,
    ) -> None:
        self.received: list[tuple[str, str, bytes]] = []
        self._answers = list(answers)
        self._on_store = on_store
        self._contexts = [
            build_context(StudyRootQueryRetrieveInformationModelGet),
            build_context(PatientRootQueryRetrieveInformationModelGet),
            *(build_context(uid, syntax) for uid, syntax in dict.fromkeys(contexts)),
        ]
        self.roles = [build_role(uid, scp_role=True) for uid, _ in contexts]

    def _store(self, event: Any) -> int:
        self.received.append(
            (
                str(event.request.AffectedSOPInstanceUID),
                str(event.context.transfer_syntax),
                event.request.DataSet.getvalue(),
            )
        )
        self._on_store(event)
        return self._answers.pop(0) if self._answers else 0x0000

    def associate(self, port: int) -> Association:
        return associate(
            AE("PYNETDICOM"),
            port,
            contexts=self._contexts,
            ext_neg=self.roles,
            evt_handlers=[(evt.EVT_C_STORE, self._store)],
        )

    def get(
        self, port: int, model: str = StudyRootQueryRetrieveInformationModelGet
    ) -> list[tuple[Any, Any]]:
        """Ask for instances; returns the responses."""
        association = self.associate(port)
        query = pydicom.Dataset()
        query.QueryRetrieveLevel = "STUDY"
        query.StudyInstanceUID = "1.2"
        responses = list(association.send_c_get(query, model))
        association.release()
        assert association.is_released
        return responses


def counts_of(status: Any) -> tuple[Any, ...]:
    return tuple(
        status.get(f"NumberOf{kind}Suboperations")
        for kind in ("Remaining", "Completed", "Failed", "Warning")
    )


def test_pynetdicom_gets_each_in_its_own_transfer_syntax() -> None:
    names = (
        "CT_small.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm",
        "SC_rgb_rle.dcm", "image_dfl.dcm", "JPEG-lossy.dcm", "rtplan.dcm",
    )  # fmt: skip
    sources = [Instance(corpus_file(name)) for name in names]
    refused = next(one for one in sources if one.path.name == "JPEG-lossy.dcm")
    getter = Getter(*((one.sop_class, one.syntax) for one in sources if one is not refused))
    with running({"cget": lambda event: [one.path for one in sources]}) as endpoint:
        *pending, (status, identifier) = getter.get(endpoint.port)
    assert [counts_of(step) for step, _ in pending][-1] == (0, 7, 1, 0)
    assert [step.Status for step, _ in pending] == [0xFF00] * 8
    assert (status.Status, counts_of(status)) == (0xB000, (None, 7, 1, 0))
    assert identifier.FailedSOPInstanceUIDList == refused.uid
    assert getter.received == [
        (one.uid, one.syntax, one.data + bytes(len(one.data) % 2))
        for one in sources
        if one is not refused
    ]


FAILURES = {0xA700, 0xC000, 0x0122}


@pytest.mark.parametrize(
    ("answers", "status", "expected"),
    [
        ([0, 0, 0], 0x0000, (3, 0, 0)),
        ([0xB000, 0, 0], 0xB000, (2, 0, 1)),
        ([0xA700, 0xB006, 0], 0xB000, (1, 1, 1)),
        ([0xA700, 0xC000, 0x0122], 0xA702, (0, 3, 0)),
        ([0x0107, 0x0116, 0xB007], 0xB000, (0, 0, 3)),
    ],
)
def test_pynetdicom_answers_in_all_ways(
    answers: list[int], status: int, expected: tuple[int, int, int]
) -> None:
    getter = Getter((CTImageStorage, EXPLICIT), answers=answers)
    with running({"cget": lambda event: [numbered(number) for number in range(3)]}) as endpoint:
        *_, (final, identifier) = getter.get(
            endpoint.port, PatientRootQueryRetrieveInformationModelGet
        )
    assert (final.Status, counts_of(final)) == (status, (None, *expected))
    failed = [f"1.2.3.{n}" for n, answer in enumerate(answers) if answer in FAILURES]
    found = identifier.get("FailedSOPInstanceUIDList") if identifier else None
    assert ([found] if isinstance(found, str) else list(found or [])) == failed


def numbered(number: int) -> DataSet:
    data_set = read_file(CT)
    data_set.SOPInstanceUID = f"1.2.3.{number}"
    return data_set


def test_pynetdicom_takes_no_instances_without_the_role() -> None:
    getter = Getter((CTImageStorage, EXPLICIT))
    getter.roles = []
    handlers = {"cget": lambda event: [CT], "cstore": lambda event: None}
    with running(handlers) as endpoint:
        *_, (status, identifier) = getter.get(endpoint.port)
    assert (status.Status, counts_of(status)) == (0xA702, (None, 0, 1, 0))
    assert identifier.FailedSOPInstanceUIDList == Instance(CT).uid
    assert getter.received == []


@pytest.mark.parametrize("after", [1, 5])
def test_pynetdicom_cancels_in_the_middle(after: int) -> None:
    closed = threading.Event()
    made: list[int] = []

    def get(event: Any) -> Any:
        def instances() -> Iterator[DataSet]:
            try:
                for number in range(1000):
                    made.append(number)
                    yield numbered(number)
            finally:
                closed.set()

        return 1000, instances()

    def cancel(event: Any) -> None:
        if len(getter.received) == after:
            event.assoc.send_c_cancel(1, query_model=StudyRootQueryRetrieveInformationModelGet)

    getter = Getter((CTImageStorage, EXPLICIT), on_store=cancel)
    with running({"cget": get}) as endpoint:
        *pending, (status, _) = getter.get(endpoint.port)
        assert closed.wait(LIMIT)
    # The cancel comes before the answer to the instance that was on its way.
    assert after <= len(getter.received) <= after + 1
    completed = len(getter.received)
    assert status.Status == 0xFE00
    assert counts_of(status) == (1000 - completed, completed, 0, 0)
    assert len(made) <= completed + 1
    assert {step.Status for step, _ in pending} <= {0xFF00}


def test_pynetdicom_gets_a_long_one(long: Path) -> None:
    getter = Getter((CTImageStorage, EXPLICIT), (MRImageStorage, EXPLICIT))
    with running({"cget": lambda event: iter([corpus_file("MR_small.dcm"), long])}) as endpoint:
        *_, (status, _) = getter.get(endpoint.port)
    assert (status.Status, counts_of(status)) == (0, (None, 2, 0, 0))
    assert getter.received[1][2] == Instance(long).data


def test_pynetdicom_reads_what_we_encode() -> None:
    """Data sets that were made here, with text outside the default repertoire."""
    made = DataSet.from_keywords(
        SpecificCharacterSet="ISO_IR 192",
        SOPClassUID=str(CTImageStorage),
        SOPInstanceUID="1.2.3",
        PatientName="Müller^Jörg=山田^太郎",
        ReferencedImageSequence=[DataSet.from_keywords(ReferencedSOPInstanceUID="1.2.4")],
    )
    for syntax in (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN):
        getter = Getter((CTImageStorage, syntax))
        with running({"cget": lambda event: [made]}) as endpoint:
            *_, (status, _) = getter.get(endpoint.port)
        assert status.Status == 0
        ((uid, accepted, data),) = getter.received
        assert (uid, accepted) == ("1.2.3", syntax)
        got = decoded(data, syntax)
        assert str(got.PatientName) == "Müller^Jörg=山田^太郎"
        assert got.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.4"


def decoded(data: bytes, syntax: str) -> pydicom.Dataset:
    uid = pydicom.uid.UID(syntax)
    return decode(io.BytesIO(data), uid.is_implicit_VR, uid.is_little_endian, uid.is_deflated)
