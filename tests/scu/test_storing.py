"""C-STORE: what goes out, on which context, how many at a time, and what becomes of it."""

from __future__ import annotations

import itertools
import os
import zlib
from itertools import count

import pytest
from kit.fake_acceptor import CLOSE, EXPLICIT, IMPLICIT, FakeAcceptor, response

from dicom_actors.data import (
    DataSet,
    EncapsulatedPixelData,
    file_meta_header,
    read_file,
    write_file,
)
from dicom_actors.dimse import Status
from dicom_actors.errors import (
    AssociationAborted,
    AssociationError,
    DecodeError,
    DimseFailure,
    LocalProtocolError,
    NotPart10Error,
    StoreIncomplete,
    TransportError,
)
from dicom_actors.pdu import Abort, AssociateRq, AsyncWindow
from dicom_actors.scu import MoveOriginator, StoreResult, contexts_for
from dicom_actors.storage.outgoing import outgoing_object

CT = "1.2.840.10008.5.1.4.1.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_LS = "1.2.840.10008.1.2.4.80"


def image(number: int = 1, sop_class: str = CT, **values: object) -> DataSet:
    """A small object."""
    return DataSet.from_keywords(
        SOPClassUID=sop_class,
        SOPInstanceUID=f"1.2.3.{number}",
        PatientName="Doe^Jane",
        Rows=4,
        **values,
    )


@pytest.fixture
def files(tmp_path):
    """Five objects as files, in order."""
    paths = []
    for number in range(1, 6):
        paths.append(tmp_path / f"{number}.dcm")
        write_file(paths[-1], image(number, PixelData=bytes(100_000 * number)))
    return paths


def sent(peer: FakeAcceptor) -> list[tuple[str, bytes]]:
    """The objects that the peer received: instance and data set."""
    return [(command.sop_instance_uid, data) for _, command, data in peer.messages if data]


def data_of(path) -> bytes:
    return read_file(path).to_bytes()


def proposed(rq) -> list[tuple[str, tuple[str, ...]]]:
    assert isinstance(rq, AssociateRq)
    return [
        (context.abstract_syntax, context.transfer_syntaxes) for context in rq.presentation_contexts
    ]


class Deciding(FakeAcceptor):
    """Answers the n-th C-STORE as the n-th entry says; None: later, with the next one."""

    def __init__(self, *statuses: int | None, **policy: object) -> None:
        super().__init__(**policy)
        self.statuses = list(statuses)
        self.waiting = []
        self.most_waiting = 0

    def on_message(self, context_id, command, data):
        self.waiting.append((context_id, command))
        self.most_waiting = max(self.most_waiting, len(self.waiting))
        status = self.statuses.pop(0)
        if status is None:
            return
        while self.waiting:
            yield response(*self.waiting.pop(), status)


# --- single objects --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "memoryview", "data set", "made"])
def test_what_can_be_stored(files, kind) -> None:
    path = files[1]
    source = {
        "path": path,
        "str": str(path),
        "bytes": path.read_bytes(),
        "memoryview": memoryview(path.read_bytes()),
        "data set": read_file(path),
        "made": image(2, PixelData=bytes(200_000)),
    }[kind]
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        result = assoc.store(source)
    assert result == (0, "1.2.3.2", source, "", None)
    assert result.is_stored
    assert result
    assert sent(peer) == [("1.2.3.2", data_of(path))]


def test_the_bytes_of_a_file_are_sent_as_they_are(tmp_path) -> None:
    """Even where they are not what we would write, or cannot be read if that is asked for."""
    path = tmp_path / "odd.dcm"
    write_file(path, image())
    garbage = b"\x99\x00\x01\x00UN\0\0\xff\0\0\0 more is to come"
    path.write_bytes(path.read_bytes() + garbage)
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        result = assoc.store(path)
        assert (result.status, sent(peer)) == (None, [])
        assert "not sent: expected" in result.comment
        assoc.store(path, send_damaged=True)
    assert sent(peer)[0][1].endswith(garbage)


@pytest.mark.parametrize("source", [None, 5, [], {}])
def test_what_is_no_object_is_told_what_is_one(source) -> None:
    with FakeAcceptor().connect() as assoc:
        with pytest.raises(TypeError, match="expected a data set, a path or the bytes of a file"):
            assoc.store(source)
        with pytest.raises(TypeError, match="expected a data set, a path or the bytes of a file"):
            list(assoc.store_many([source]))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_folder_is_no_object(tmp_path, files, count) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(count):
        (folder / str(number)).write_bytes(files[0].read_bytes())
    with FakeAcceptor().connect() as assoc:
        result = assoc.store(folder)
        assert (result.status, result.comment) == (None, f"not sent: {result.error.strerror}")
        with pytest.raises(IsADirectoryError, match="store_many"):
            assoc.store(str(folder), check=True)
        assert len(list(assoc.store_many(folder))) == count


def test_what_is_cut_off_is_not_sent_unless_that_is_asked_for(files) -> None:
    path = files[0]
    path.write_bytes(path.read_bytes()[:-1000])
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        for source in (path, path.read_bytes()):
            result = assoc.store(source)
            assert not result
            assert "expected a value of 100000 bytes, 99000 left" in result.comment
            with pytest.raises(DecodeError):
                assoc.store(source, check=True)
        assert not sent(peer)
        assert assoc.store(path, send_damaged=True)
    assert len(sent(peer)) == 1


def test_a_file_without_file_meta_is_sent_as_what_it_is(tmp_path) -> None:
    path = tmp_path / "bare.dcm"
    path.write_bytes(image(7).to_bytes(IMPLICIT))
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        assert assoc.store(path).status == 0
    (_, data), *_ = sent(peer)
    assert data == image(7).to_bytes(IMPLICIT)


def test_a_long_file_meta_is_read_too(tmp_path) -> None:
    data_set = image(8)
    data_set.file_meta.put("PrivateInformationCreatorUID", "UI", "1.2.3")
    data_set.file_meta.put("PrivateInformation", "OB", bytes(9000))
    path = tmp_path / "long.dcm"
    write_file(path, data_set)
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        assert assoc.store(path).sop_instance_uid == "1.2.3.8"
    assert sent(peer)[0][1] == data_of(path)


def test_a_status_is_given_back_or_raised() -> None:
    comment = "disk full"

    class Full(FakeAcceptor):
        def on_message(self, context_id, command, data):
            yield response(context_id, command, Status.OUT_OF_RESOURCES, comment)

    with Full().connect() as assoc:
        result = assoc.store(image())
        assert (result.status, result.comment, result.is_stored) == (0xA700, "disk full", False)
        with pytest.raises(DimseFailure, match=r"out of resources \(disk full\)") as caught:
            assoc.store(image(), check=True)
        assert caught.value.status == 0xA700


def test_a_warning_is_no_failure() -> None:
    class Coercing(FakeAcceptor):
        def on_message(self, context_id, command, data):
            yield response(context_id, command, Status.COERCION_OF_DATA_ELEMENTS)

    with Coercing().connect() as assoc:
        assert assoc.store(image(), check=True).is_stored


@pytest.mark.parametrize("content", [b"", b"no DICOM at all", None])
def test_what_cannot_be_read_is_reported(tmp_path, content) -> None:
    path = tmp_path / "x"
    if content is not None:
        path.write_bytes(content)
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        result = assoc.store(path)
        assert (result.status, result.sop_instance_uid) == (None, "")
        assert result.comment.startswith("not sent: ")
        with pytest.raises((FileNotFoundError, NotPart10Error)):
            assoc.store(path, check=True)
        assert assoc.store(DataSet()).comment.startswith("not sent: expected SOPClassUID")
    assert not peer.messages


def test_what_was_not_stored_is_raised_at_the_end(files, tmp_path) -> None:
    peer = Deciding(0, 0xA700, 0xB000, 0)
    results = []
    missing = tmp_path / "missing"
    with pytest.raises(StoreIncomplete, match=r"2 of 5 objects not stored: .*2\.dcm") as caught:
        with peer.connect() as assoc:
            iter_into(results, assoc.store_many([*files[:4], missing]))
    assert [result.status for result in results] == [0, 0xA700, 0xB000, 0, None]
    assert [bool(result) for result in results] == [True, False, True, True, False]
    assert caught.value.stored == 3
    assert [result.source for result in caught.value.failed] == [files[1], missing]
    assert type(peer.pdus[-1]).__name__ == "ReleaseRq"


def test_an_answer_for_another_instance_is_no_success(files) -> None:
    class Confused(FakeAcceptor):
        def on_message(self, context_id, command, data):
            other = command._replace(sop_instance_uid="1.2.3.999")
            yield response(context_id, other)

    with Confused().connect() as assoc:
        result = assoc.store(files[0])
        assert not result
        assert result.status is None
        assert result.comment == "answered for another instance, 1.2.3.999: 0000H"
        with pytest.raises(AssociationError, match="another instance"):
            assoc.store(files[0], check=True)


def test_a_dicomdir_is_not_sent(tmp_path) -> None:
    path = tmp_path / "DICOMDIR"
    write_file(path, DataSet.from_keywords(SOPInstanceUID="1.2", DirectoryRecordSequence=[]))
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        assert assoc.store(path).comment == "not sent: it is a DICOMDIR"


def test_results_print_without_their_bytes() -> None:
    result = StoreResult(0, "1.2", bytes(1000))
    assert repr(result) == "StoreResult(0000H, '1.2', <1000 bytes>, '')"
    assert "DataSet of 4" in repr(StoreResult(None, "1.2", image()))


# --- transfer syntaxes -----------------------------------------------------------------------


def accepting(*transfer_syntaxes: str) -> FakeAcceptor:
    return FakeAcceptor(abstract_syntaxes=lambda _: transfer_syntaxes)


@pytest.mark.parametrize(
    ("own", "accepted"),
    list(itertools.product([EXPLICIT, IMPLICIT, DEFLATED], [EXPLICIT, IMPLICIT])),
)
def test_uncompressed_objects_are_converted_where_they_must_be(tmp_path, own, accepted) -> None:
    path = tmp_path / "x.dcm"
    write_file(path, image(PixelData=b"\1\2\3\4"), transfer_syntax=own)
    peer = accepting(accepted)
    with peer.connect() as assoc:
        assert assoc.store(path).status == 0
        assert assoc.store(read_file(path)).status == 0
    expected = image(PixelData=b"\1\2\3\4").to_bytes(accepted)
    assert [data for _, data in sent(peer)] == [expected, expected]


def test_what_is_accepted_as_it_is_is_not_converted(tmp_path) -> None:
    path = tmp_path / "x.dcm"
    write_file(path, image(), transfer_syntax=DEFLATED)
    peer = accepting(EXPLICIT, IMPLICIT, DEFLATED)
    with peer.connect() as assoc:
        assoc.store(path)
    assert sent(peer)[0][1] == data_of(path)
    assert sent(peer)[0][1] != image().to_bytes(EXPLICIT)


def test_a_data_set_of_odd_length_is_not_sent_but_a_deflated_one_is_padded(tmp_path) -> None:
    path = tmp_path / "x.dcm"
    write_file(path, image())
    path.write_bytes(path.read_bytes()[:-1])
    stream = tmp_path / "y.dcm"
    for number in count():
        encoded = image(ImageComments="x" * number).to_bytes(EXPLICIT)
        deflated = zlib.compress(encoded, wbits=-15)
        if len(deflated) % 2:
            break
    stream.write_bytes(file_meta_header(CT, "1.2.3.1", DEFLATED) + deflated)
    peer = accepting(DEFLATED, EXPLICIT, IMPLICIT)
    with peer.connect() as assoc:
        result = assoc.store(path, send_damaged=True)
        assert "expected a value of 2 bytes, 1 left" in result.comment
        assert assoc.store(stream).status == 0
        assert assoc.store(read_file(stream)).status == 0
    assert [data for _, data in sent(peer)] == [deflated + b"\0"] * 2


def test_a_value_of_odd_length_gets_its_padding(tmp_path) -> None:
    path = tmp_path / "x.dcm"
    odd = image().to_bytes(EXPLICIT) + b"\xfa\xff\xfa\xffOB\0\0\x01\0\0\0x"
    path.write_bytes(file_meta_header(CT, "1.2.3.1", EXPLICIT) + odd)
    peer = accepting(EXPLICIT, IMPLICIT)
    with peer.connect() as assoc:
        assert assoc.store(path).status == 0
        assert assoc.store(read_file(path)).status == 0
        assert assoc.store(path.read_bytes()).status == 0
    expected = odd[:-5] + b"\x02\0\0\0x\0"
    assert [data for _, data in sent(peer)] == [expected] * 3


def compressed() -> DataSet:
    data_set = image(9)
    data_set.file_meta.TransferSyntaxUID = JPEG_LS
    data_set.put("PixelData", "OB", EncapsulatedPixelData([b"\xff\xd8\xff\xd9"]))
    return data_set


def test_compressed_objects_go_out_as_they_are_or_not_at_all(tmp_path) -> None:
    path = tmp_path / "x.dcm"
    write_file(path, compressed(), transfer_syntax=JPEG_LS)
    peer = accepting(EXPLICIT, IMPLICIT, JPEG_LS)
    with peer.connect() as assoc:
        assert assoc.store(path).status == 0
        assert assoc.store(compressed()).status == 0
    assert [data for _, data in sent(peer)] == [data_of(path)] * 2
    peer = accepting(EXPLICIT, IMPLICIT)
    with peer.connect() as assoc:
        result = assoc.store(path)
        assert result.status is None
        assert result.comment == (
            "not sent: the peer accepts no CT Image Storage in transfer syntax "
            "JPEG-LS Lossless Image Compression"
        )
        assoc.echo()
    assert not sent(peer)


def test_data_sets_of_many_pieces_arrive_whole() -> None:
    data_set = image(PixelData=bytes(range(256)) * 1000, ImageComments="x" * 9000)
    for length in (4096, 16384, 131072):
        peer = FakeAcceptor(max_pdu_length=length)
        with peer.connect() as assoc:
            assoc.store(data_set)
        assert sent(peer) == [("1.2.3.1", data_set.to_bytes(EXPLICIT))]


# --- many objects ----------------------------------------------------------------------------


def test_a_folder_is_all_files_below_in_order(tmp_path) -> None:
    for number, name in ((1, "a/1"), (2, "a/b/2"), (3, "c")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, image(number))
    (tmp_path / "a" / "notes.txt").write_text("hello, this is no DICOM file")
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        results = list(assoc.store_many(tmp_path, on_warning="ignore"))
    names = [str(result.source.relative_to(tmp_path)) for result in results]
    assert names == ["c", "a/1", "a/notes.txt", "a/b/2"]
    assert [result.status for result in results] == [0, 0, None, 0]
    assert peer.associations == 1


def test_everything_mixed(tmp_path, files) -> None:
    items = [files[0], image(11), files[1].read_bytes(), tmp_path / "missing", *files[2:]]
    with FakeAcceptor().connect() as assoc:
        results = list(assoc.store_many(iter(items), on_warning="ignore"))
    assert [result.source for result in results] == items
    assert [result.status for result in results] == [0, 0, 0, None, 0, 0, 0]


def test_contexts_are_those_of_what_is_sent(files) -> None:
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        list(assoc.store_many([*files, image(6, "1.2.3.4.5")]))
    assert peer.associations == 2
    requests = [pdu for pdu in peer.pdus if isinstance(pdu, AssociateRq)]
    assert proposed(requests[1])[:4] == [
        (CT, (EXPLICIT,)),
        (CT, (IMPLICIT,)),
        ("1.2.3.4.5", (EXPLICIT,)),
        ("1.2.3.4.5", (IMPLICIT,)),
    ]


def test_the_common_classes_are_proposed_at_once(tmp_path) -> None:
    suffixes = ("2", "4", "7", "88.11", "104.1")
    objects = [image(n, f"1.2.840.10008.5.1.4.1.1.{suffixes[n % 5]}") for n in range(10)]
    objects[0].PixelData = EncapsulatedPixelData([b"\xff\xd8\xff\xd9"])
    objects[0] = objects[0].with_transfer_syntax("JPEGBaseline8Bit")
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        assert all(assoc.store(each).status == 0 for each in objects[1:])
    assert peer.associations == 1
    assert len(peer.pdus[0].presentation_contexts) <= 128


def test_contexts_may_be_found_out_before(files) -> None:
    peer = FakeAcceptor()
    with peer.connect(contexts=contexts_for(files)) as assoc:
        assert all(result.status == 0 for result in assoc.store_many(files))
    assert peer.associations == 1
    assert proposed(peer.pdus[0]) == [(CT, (EXPLICIT,)), (CT, (IMPLICIT,))]


def test_more_than_128_contexts_are_several_associations() -> None:
    images = [image(number, f"1.2.3.4.{number}") for number in range(1, 151)]
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        results = list(assoc.store_many(images))
    assert [result.status for result in results] == [0] * 150
    # 300 contexts: 64 classes, 64 and 22, after what `connect` proposed.
    assert peer.associations == 4
    with pytest.raises(ValueError, match="128 at most, got 300"):
        contexts_for(images)


def test_a_generator_is_not_asked_for_what_cannot_be_sent_yet() -> None:
    peer = FakeAcceptor()
    made = []

    def images():
        for number in range(1, 6):
            made.append(number)
            yield image(number)

    with peer.connect() as assoc:
        results = assoc.store_many(images())
        first = next(results)
        assert first.sop_instance_uid == "1.2.3.1"
        assert made == [1, 2]
        assert len(list(results)) == 4


# --- the window ------------------------------------------------------------------------------


def test_without_a_window_one_object_at_a_time(files) -> None:
    peer = Deciding(0, 0, 0, 0, 0)
    with peer.connect() as assoc:
        assert len(list(assoc.store_many(files))) == 5
    assert peer.most_waiting == 1
    rq = peer.pdus[0]
    assert isinstance(rq, AssociateRq)
    assert rq.user_information.async_window is None


def test_as_many_objects_at_a_time_as_the_window_allows(files) -> None:
    peer = Deciding(None, None, 0, None, 0, async_window=AsyncWindow(3, 1))
    with peer.connect(async_window=16) as assoc:
        results = list(assoc.store_many(files))
    assert peer.most_waiting == 3
    assert assoc.terms.max_invoked == 3
    # In the order in which the peer answers.
    assert [result.sop_instance_uid[-1] for result in results] == ["3", "2", "1", "5", "4"]
    assert [result.source for result in results] == [files[n] for n in (2, 1, 0, 4, 3)]


def test_a_window_without_limit_is_limited_by_us(files) -> None:
    peer = Deciding(None, None, None, None, 0, async_window=AsyncWindow(0, 1))
    with peer.connect(async_window=5) as assoc:
        assert len(list(assoc.store_many(files))) == 5
    assert peer.most_waiting == 5


def test_results_come_while_later_objects_are_on_their_way(files) -> None:
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        for number, _ in enumerate(assoc.store_many(files), 1):
            assert len(peer.messages) == min(number + 1, 5)


# --- trouble ---------------------------------------------------------------------------------


class Ending(FakeAcceptor):
    """Ends the association at the n-th object, without answering it."""

    def __init__(self, number: int, *end: object, **policy: object) -> None:
        super().__init__(**policy)
        self.number = number
        self.end = end

    def on_message(self, context_id, command, data):
        if len(self.messages) == self.number:
            yield from self.end
        elif len(self.messages) < self.number:
            yield response(context_id, command)


@pytest.mark.parametrize(
    ("end", "error"),
    [((CLOSE,), TransportError), ((Abort(0, 0), CLOSE), AssociationAborted)],
)
def test_what_was_not_answered_is_reported_as_such(files, end, error) -> None:
    peer = Ending(3, *end)
    assoc = peer.connect()
    results = []
    with pytest.raises(error):
        results.extend(iter_into(results, assoc.store_many(files, retries=0)))
    assert [(r.sop_instance_uid, r.status) for r in results] == [
        ("1.2.3.1", 0),
        ("1.2.3.2", 0),
        ("1.2.3.3", None),
        ("1.2.3.4", None),
        ("1.2.3.5", None),
    ]
    assert results[2].comment.startswith("not answered: ANY-SCP at fake:104: ")
    assert results[3].comment.startswith("not sent: ANY-SCP at fake:104: ")
    assert not assoc.is_open
    with pytest.raises(error):
        assoc.echo()


def iter_into(results, iterator):
    for result in iterator:
        results.append(result)
    return ()


def test_a_whole_window_may_be_lost(files) -> None:
    peer = Ending(2, async_window=AsyncWindow(4, 1))
    assoc = peer.connect(async_window=4, timeout=3)
    results = []
    with pytest.raises(TimeoutError, match="C-STORE request"):
        iter_into(results, assoc.store_many(files, retries=0))
    assert [result.status for result in results] == [0, None, None, None, None]


def test_leaving_early_drops_what_is_on_its_way(files) -> None:
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        for result in assoc.store_many(files):
            assert result.status == 0
            break
        assoc.echo()
        assert [command.command_field for _, command, _ in peer.messages] == [1, 1, 0x30]
    assert peer.is_closed


def test_nothing_else_runs_in_between(files) -> None:
    with FakeAcceptor().connect() as assoc:
        results = assoc.store_many(files)
        next(results)
        with pytest.raises(LocalProtocolError, match="a C-STORE is running"):
            assoc.store(files[0])
        assert len(list(results)) == 4
        assert assoc.store(files[0]).is_stored


def test_a_source_that_raises_ends_the_sending_and_nothing_else() -> None:
    def images():
        yield image(1)
        raise ZeroDivisionError

    with FakeAcceptor().connect() as assoc:
        with pytest.raises(ZeroDivisionError):
            list(assoc.store_many(images()))
        assoc.echo()


def test_the_move_that_an_object_is_stored_for(files) -> None:
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        list(assoc.store_many(files[:1], originator=MoveOriginator("WHO", 42)))
        assoc.store(files[1])
    first, second = (command.elements for _, command, _ in peer.messages)
    assert first.MoveOriginatorApplicationEntityTitle == "WHO"
    assert first.MoveOriginatorMessageID == 42
    assert "MoveOriginatorMessageID" not in second


def test_parallel_needs_a_number() -> None:
    with FakeAcceptor().connect() as assoc, pytest.raises(ValueError, match="parallel"):
        assoc.store_many([], parallel=0)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED])
def test_an_object_is_what_its_data_set_says(tmp_path, syntax):
    path = tmp_path / "object.dcm"
    ds = DataSet.from_keywords(SOPClassUID=CT, SOPInstanceUID="1.2.345", PatientID="7")
    write_file(path, ds, transfer_syntax=syntax)
    data = path.read_bytes()
    other = data.replace(b"1.2.345\0", b"1.2.999\0", 1)  # that of the file meta information
    path.write_bytes(other)
    found = outgoing_object(path)
    expected = "1.2.999" if syntax == DEFLATED else "1.2.345"
    assert (found.sop_class_uid, found.sop_instance_uid) == (CT, expected)
    assert found.transfer_syntax == syntax
    assert b"".join(found.pieces(syntax)) == data[found.start :]


def test_pipes_and_devices_in_a_folder_hang_nothing(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    write_file(tmp_path / "image.dcm", image(1))
    with FakeAcceptor().connect() as assoc:
        stored, pipe = assoc.store_many(tmp_path, on_warning="ignore")
        assert stored.is_stored
        assert (pipe.status, pipe.comment) == (None, "not sent: expected a regular file")
        assert assoc.store("/dev/zero").comment == "not sent: expected a regular file"
