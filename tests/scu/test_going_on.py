"""Stores go on after a lost association, with what was under way, and from a journal."""

from __future__ import annotations

import json

import pytest
from kit.fake_acceptor import CLOSE, FakeAcceptor, response

from dicom_actors.data import DataSet, write_file
from dicom_actors.errors import (
    AssociationError,
    AssociationRejected,
    AssociationTimeout,
    ConfigurationError,
    StoreIncomplete,
    TransportError,
)
from dicom_actors.pdu import Abort, AssociateRj, AsyncWindow

ABORT = (Abort(0, 0), CLOSE)
SILENCE = ()
CT = "1.2.840.10008.5.1.4.1.1.2"


def image(number: int) -> DataSet:
    return DataSet.from_keywords(SOPClassUID=CT, SOPInstanceUID=f"1.2.3.{number}", Rows=4)


class Fragile(FakeAcceptor):
    """Ends the association at some objects, so many times each; and then refuses so many.

    Attributes:
        stored: what it has, in order.
        pauses: how long the user waited between attempts.
    """

    def __init__(self, ends: dict[str, int], *, end=ABORT, refuses=0, **policy):
        super().__init__(**policy)
        self.ends = ends
        self.end = end
        self.refuses = refuses
        self.refused = 0
        self.stored: list[str] = []
        self.pauses: list[float] = []

    def on_associate(self, rq):
        if self.associations > 1 and self.refused < self.refuses:
            self.refused += 1
            return (AssociateRj(2, 3, 1), CLOSE)
        return super().on_associate(rq)

    def on_message(self, context_id, command, data):
        uid = command.sop_instance_uid
        if self.ends.get(uid, 0):
            self.ends[uid] -= 1
            yield from self.end
            return
        self.stored.append(uid)
        yield response(context_id, command)

    def connect(self, **settings):
        return super().connect(pause=self.pauses.append, **settings)


def uids(*numbers: int) -> list[str]:
    return [f"1.2.3.{number}" for number in numbers]


IMAGES = [image(number) for number in range(1, 7)]


@pytest.mark.parametrize("end", [ABORT, (CLOSE,), SILENCE])
def test_what_was_under_way_is_tried_once_more(end) -> None:
    peer = Fragile({"1.2.3.3": 1}, end=end)
    with peer.connect(timeout=3) as assoc:
        results = list(assoc.store_many(IMAGES))
        assert assoc.is_open
    assert [result.status for result in results] == [0] * 6
    assert [result.source for result in results] == IMAGES
    assert peer.stored == uids(1, 2, 3, 4, 5, 6)
    assert peer.associations == 2
    assert peer.pauses == []


def test_what_costs_an_association_twice_is_set_aside() -> None:
    peer = Fragile({"1.2.3.3": 99})
    results = []
    with pytest.raises(StoreIncomplete, match="1 of 6 objects not stored") as caught:
        with peer.connect() as assoc:
            results.extend(into(results, assoc.store_many(IMAGES)))
    assert [bool(result) for result in results] == [True, True, False, True, True, True]
    assert results[2].comment.startswith("not answered, tried twice: ANY-SCP at fake:104: ")
    assert isinstance(results[2].error, AssociationError)
    assert caught.value.failed == (results[2],)
    assert peer.stored == uids(1, 2, 4, 5, 6)
    assert peer.associations == 3
    assert peer.pauses == [1]


def into(results, iterator):
    for result in iterator:
        results.append(result)
    return ()


def test_in_a_window_the_culprit_is_found() -> None:
    peer = Fragile({"1.2.3.3": 99}, async_window=AsyncWindow(4, 1))
    with peer.connect(async_window=4) as assoc:
        results = list(assoc.store_many(IMAGES, on_warning="ignore"))
    failed = [result.sop_instance_uid for result in results if not result]
    assert failed == ["1.2.3.3"]
    assert len(results) == 6


def test_pauses_grow_between_attempts_and_attempts_end() -> None:
    peer = Fragile({"1.2.3.3": 1}, refuses=99)
    results = []
    assoc = peer.connect()
    with pytest.raises(AssociationRejected):
        into(results, assoc.store_many(IMAGES, retries=9))
    assert peer.pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [result.status for result in results] == [0, 0, None, None, None, None]
    assert results[2].comment.startswith("not answered: ")
    assert all(result.comment.startswith("not sent: ") for result in results[3:])
    assert [result.source for result in results] == IMAGES


def test_a_peer_that_comes_back_is_waited_for() -> None:
    peer = Fragile({"1.2.3.3": 1, "1.2.3.5": 1}, refuses=3)
    with peer.connect() as assoc:
        results = list(assoc.store_many(IMAGES, retries=4))
    assert [result.status for result in results] == [0] * 6
    assert peer.pauses == [1, 2, 4]


def test_what_an_iterator_has_not_given_stays_with_it() -> None:
    peer = Fragile({"1.2.3.3": 99}, refuses=99)
    source = iter(IMAGES)
    results = []
    with pytest.raises(AssociationError):
        into(results, peer.connect().store_many(source, retries=1))
    # The one that came while the third was under way has its result.
    assert len(results) == 4
    assert list(source) == IMAGES[4:]


@pytest.mark.parametrize("end", ["abort", "release"])
def test_an_end_of_ours_is_an_end(end: str) -> None:
    peer = Fragile({})
    assoc = peer.connect()
    results = []
    with pytest.raises(AssociationError):
        for result in assoc.store_many(IMAGES):
            results.append(result)
            if len(results) == 2:
                getattr(assoc, end)()
    assert peer.associations == 1
    assert len(results) == 6
    assert sum(map(bool, results)) in {2, 3}


def test_a_new_association_that_is_lost_while_contexts_change() -> None:
    other = DataSet.from_keywords(SOPClassUID="1.2.3.4.5", SOPInstanceUID="1.2.3.9", Rows=4)

    class Moody(Fragile):
        def on_associate(self, rq):
            if self.associations == 2:
                return (CLOSE,)
            return super().on_associate(rq)

    peer = Moody({})
    with peer.connect() as assoc:
        results = list(assoc.store_many([IMAGES[0], other]))
    assert [result.status for result in results] == [0, 0]
    assert peer.associations == 3


# --- the journal -----------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(1, 7):
        write_file(folder / f"{number}.dcm", image(number))
    return folder


def test_a_journal_continues(files, tmp_path) -> None:
    journal = tmp_path / "journal"
    peer = Fragile({"1.2.3.3": 99}, refuses=99)
    with pytest.raises(AssociationError):
        list(peer.connect().store_many(files, retries=0, journal=journal))
    peer = Fragile({})
    with peer.connect() as assoc:
        results = list(assoc.store_many(files, journal=journal))
    assert [result.status for result in results] == [0] * 6
    assert [result.comment for result in results[:2]] == [f"stored before, as {journal} says"] * 2
    assert peer.stored == uids(3, 4, 5, 6)
    with peer.connect() as assoc:
        assert all(assoc.store_many(files, journal=journal))
    assert len(peer.stored) == 4


def test_what_has_changed_is_sent_again_and_what_failed(files, tmp_path) -> None:
    journal = tmp_path / "journal"

    class Refusing(Fragile):
        def on_message(self, context_id, command, data):
            if command.sop_instance_uid == "1.2.3.2":
                yield response(context_id, command, 0xA700)
            else:
                yield from super().on_message(context_id, command, data)

    with Refusing({}).connect() as assoc:
        list(assoc.store_many(files, journal=journal, on_warning="ignore"))
    changed = image(5)
    changed.PatientID = "another"
    write_file(files / "5.dcm", changed)
    peer = Fragile({})
    with peer.connect() as assoc:
        assert all(assoc.store_many(files, journal=journal))
    assert peer.stored == uids(2, 5)


def test_data_sets_go_by_their_instance(tmp_path) -> None:
    journal = tmp_path / "journal"
    peer = Fragile({})
    with peer.connect() as assoc:
        assert all(assoc.store_many(IMAGES[:4], journal=journal))
        assert all(assoc.store_many(IMAGES, journal=journal))
    assert peer.stored == uids(1, 2, 3, 4, 5, 6)


def test_a_line_that_was_cut_off_means_nothing(files, tmp_path) -> None:
    journal = tmp_path / "journal"
    with Fragile({}).connect() as assoc:
        list(assoc.store_many(files, journal=journal))
    whole = journal.read_text()
    assert len(whole.splitlines()) == 7
    journal.write_text(whole[: whole.rindex(",")])
    peer = Fragile({})
    with peer.connect() as assoc:
        assert all(assoc.store_many(files, journal=journal))
    assert peer.stored == uids(6)
    entries = [json.loads(line) for line in journal.read_text().splitlines()[-1:]]
    assert entries[0]["sop_instance_uid"] == "1.2.3.6"


def test_what_is_no_text_is_no_journal(files, tmp_path) -> None:
    image = tmp_path / "given by mistake.dcm"
    image.write_bytes(b"\0" * 128 + b"DICM\xff\xfe\n")
    before = image.read_bytes()
    with (
        Fragile({}).connect() as assoc,
        pytest.raises(ConfigurationError, match="expected a journal of store"),
    ):
        list(assoc.store_many(files, journal=image))
    assert image.read_bytes() == before


@pytest.mark.parametrize("text", ["hello\n", '{"journal": "dicom-actors store", "peer": "X"}\n'])
def test_what_is_no_journal_of_this_peer_is_left_alone(files, tmp_path, text) -> None:
    journal = tmp_path / "journal"
    journal.write_text(text)
    peer = Fragile({})
    with peer.connect() as assoc, pytest.raises(ConfigurationError, match="journal of"):
        list(assoc.store_many(files, journal=journal))
    assert journal.read_text() == text
    assert peer.stored == []


def test_numbers_are_checked_at_once() -> None:
    with Fragile({}).connect() as assoc:
        with pytest.raises(ValueError, match="retries: expected 0 or more"):
            assoc.store_many([], retries=-1)
        with pytest.raises(ValueError, match="on_warning"):
            assoc.store_many([], on_warning="warn")


def test_single_stores_do_not_go_on() -> None:
    peer = Fragile({"1.2.3.1": 1}, end=(CLOSE,))
    assoc = peer.connect()
    with pytest.raises(TransportError):
        assoc.store(IMAGES[0])
    peer = Fragile({"1.2.3.1": 1}, end=SILENCE)
    assoc = peer.connect(timeout=2)
    with pytest.raises(AssociationTimeout):
        assoc.store(IMAGES[0])
    assert not assoc.is_open
