"""C-FIND, C-GET and C-MOVE: matches, instances and progress, one by one; and leaving early."""

from __future__ import annotations

import math
import struct

import pytest
from kit.fake_acceptor import (
    CLOSE,
    EXPLICIT,
    IMPLICIT,
    FakeAcceptor,
    message,
    response,
    store_request,
)

from dicom_actors.data import DataSet, write_file
from dicom_actors.data.dictionary import tag_of
from dicom_actors.dimse import CommandElement, CommandField, Status, encode_command
from dicom_actors.errors import (
    AssociationTimeout,
    ConfigurationError,
    DataError,
    DimseFailure,
    RetrievalIncomplete,
    TransportError,
)
from dicom_actors.pdu import AssociateRq, PDataTf
from dicom_actors.scu import MODELS, MoveProgress
from dicom_actors.scu.query_models import sop_class_for

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY = DataSet.from_keywords(QueryRetrieveLevel="STUDY", PatientName="DOE*")


def match(number: int) -> bytes:
    """An identifier as the fake acceptor sends it."""
    return DataSet.from_keywords(PatientName=f"DOE^{number}").to_bytes(EXPLICIT)


class Asked(FakeAcceptor):
    """Answers a query or retrieval with what `answers` gives, and a C-CANCEL with FE00H."""

    def __init__(self, answers, *, heeds_cancel: bool = True, **policy: object) -> None:
        super().__init__(**policy)
        self.answers = answers
        self.heeds_cancel = heeds_cancel
        self.request = None
        self.store_statuses: list[int | None] = []
        self.is_finished = False

    def on_message(self, context_id, command, data):
        if command.is_response:
            self.store_statuses.append(command.status)
        elif command.command_field == CommandField.C_CANCEL_RQ:
            assert self.request is not None
            assert command.message_id == self.request[1].message_id
            if self.heeds_cancel and not self.is_finished:
                yield response(*self.request, Status.CANCEL)
        elif command.command_field == CommandField.C_ECHO_RQ:
            yield response(context_id, command)
        else:
            self.request = (context_id, command)
            yield from self.answers(context_id, command)

    @property
    def cancels(self) -> int:
        return sum(
            command.command_field == CommandField.C_CANCEL_RQ for _, command, _ in self.messages
        )


def pending(context_id, command, count: int = 3):
    return [response(context_id, command, 0xFF00, data=match(n)) for n in range(1, count + 1)]


def matching(status: int = 0, comment: str = "", count: int = 3):
    def answers(context_id, command):
        return [
            *pending(context_id, command, count),
            response(context_id, command, status, comment),
        ]

    return answers


# --- C-FIND ----------------------------------------------------------------------------------


def test_matches_come_one_by_one() -> None:
    peer = Asked(matching())
    with peer.connect() as assoc:
        matches = assoc.find(STUDY)
        assert matches.status is None
        assert [str(found.PatientName) for found in matches] == ["DOE^1", "DOE^2", "DOE^3"]
        assert matches.status == 0
        assert matches.progress is None
    ((_, command, data), *_) = peer.messages
    assert command.sop_class_uid == "1.2.840.10008.5.1.4.1.2.2.1"
    assert data == STUDY.to_bytes(EXPLICIT)
    assert not peer.cancels


@pytest.mark.parametrize(
    "damaged", [b"\x01", b"\x10\x00\x10\x00PN\xff\x00x", match(2)[:-3], b"no data set at all"]
)
def test_a_damaged_match_is_left_out_and_the_others_come(damaged: bytes, caplog) -> None:
    def answers(context_id, command):
        return [
            response(context_id, command, 0xFF00, data=data)
            for data in (match(1), damaged, match(3))
        ] + [response(context_id, command)]

    with Asked(answers).connect() as assoc:
        matches = assoc.find(STUDY)
        assert [str(found.PatientName) for found in matches] == ["DOE^1", "DOE^3"]
        assert matches.status == 0
        assoc.echo()
    assert "match 2 cannot be read and is left out" in caplog.text
    assert "DOE" not in caplog.text


def test_the_identifier_has_the_negotiated_transfer_syntax() -> None:
    peer = FakeAcceptor(abstract_syntaxes=lambda _: (IMPLICIT,))
    with peer.connect() as assoc:
        assert list(assoc.find(STUDY)) == []
    assert peer.messages[0][2] == STUDY.to_bytes(IMPLICIT)


def test_a_failure_comes_after_the_matches() -> None:
    with Asked(matching(0xA700, "too many")).connect() as assoc:
        found = []
        with pytest.raises(DimseFailure, match="too many") as caught:
            found.extend(append_all(found, assoc.find(STUDY)))
        assert len(found) == 3
        assert caught.value.status == 0xA700
        assoc.echo()


def append_all(found, iterator):
    for item in iterator:
        found.append(item)
    return ()


@pytest.mark.parametrize("status", [0xB001, 0xFE00])
def test_a_warning_or_a_cancellation_is_raised_after_the_matches(status: int) -> None:
    with Asked(matching(status)).connect() as assoc:
        found = []
        with pytest.raises(DimseFailure) as caught:
            append_all(found, assoc.find(STUDY))
        assert len(found) == 3
        assert caught.value.status == status
        assoc.echo()


@pytest.mark.parametrize("status", [0xB001, 0xFE00])
def test_a_warning_is_told_where_that_is_asked_for(status: int) -> None:
    with Asked(matching(status)).connect() as assoc:
        matches = assoc.find(STUDY, on_warning="ignore")
        assert len(list(matches)) == 3
        assert matches.status == status
        failing = matching(0xA700)
    with Asked(failing).connect() as assoc:
        with pytest.raises(DimseFailure):
            list(assoc.find(STUDY, on_warning="ignore"))


@pytest.mark.parametrize("ask", ["find", "get", "move"])
def test_on_warning_is_one_of_two(ask: str) -> None:
    peer = Asked(matching())
    with peer.connect() as assoc:
        more = {"destination": "DEST"} if ask == "move" else {}
        with pytest.raises(ValueError, match="on_warning: expected 'raise' or 'ignore'"):
            getattr(assoc, ask)(STUDY, on_warning="warn", **more)
        assert peer.messages == []


def test_leaving_the_loop_cancels() -> None:
    peer = Asked(pending)
    with peer.connect() as assoc:
        for found in assoc.find(STUDY):
            assert found.PatientName == "DOE^1"
            break
        assert peer.cancels == 1
        assoc.echo()
        assert next(assoc.find(STUDY)).PatientName == "DOE^1"
        assert peer.cancels == 2
        assoc.echo()


def test_closing_what_was_never_asked_for_cancels_it() -> None:
    peer = Asked(pending)
    with peer.connect() as assoc:
        assoc.find(STUDY).close()
        assert peer.cancels == 1
        assoc.find(STUDY)
        assert peer.cancels == 2
        assoc.echo()


def test_the_end_of_the_block_cancels_what_runs() -> None:
    peer = Asked(pending)
    with peer.connect() as assoc:
        matches = assoc.find(STUDY)
        next(matches)
    assert peer.cancels == 1
    assert type(peer.pdus[-1]).__name__ == "ReleaseRq"
    matches.close()


def test_cancelled_matches_still_come() -> None:
    peer = Asked(pending)
    with peer.connect() as assoc:
        matches = assoc.find(STUDY)
        next(matches)
        matches.cancel()
        assoc.cancel()
        assert len(list(matches)) == 2
        assert matches.status == Status.CANCEL
        assert peer.cancels == 1
        matches.cancel()
        assoc.cancel()
        assert peer.cancels == 1


def test_a_peer_that_does_not_heed_a_cancellation_is_aborted() -> None:
    peer = Asked(pending, heeds_cancel=False)
    assoc = peer.connect(timeout=4, response_timeout=math.inf)
    matches = assoc.find(STUDY)
    next(matches)
    with pytest.raises(AssociationTimeout, match="the cancellation of the C-FIND within 4 s"):
        matches.close()
    assert not assoc.is_open


def test_a_peer_that_goes_on_after_a_cancellation_is_aborted() -> None:
    class Stubborn(Asked):
        def wait(self, seconds, *, for_writing):
            if not for_writing and self.request is not None and not self._to_send:
                self.clock.advance(1)
                self.say(response(*self.request, 0xFF00, data=match(4)))
            else:
                super().wait(seconds, for_writing=for_writing)

    peer = Stubborn(pending, heeds_cancel=False)
    assoc = peer.connect(timeout=4)
    with pytest.raises(AssociationTimeout, match="the cancellation of the C-FIND within 4 s"):
        assoc.find(STUDY).close()


def test_an_interrupted_query_is_cancelled_by_what_comes_next() -> None:
    class Interrupting(Asked):
        def wait(self, seconds, *, for_writing):
            if self.request is not None and not self._to_send and not self.interrupted:
                self.interrupted = True
                raise KeyboardInterrupt
            super().wait(seconds, for_writing=for_writing)

    peer = Interrupting(lambda *_: ())
    peer.interrupted = False
    with peer.connect() as assoc:
        matches = assoc.find(STUDY)
        with pytest.raises(KeyboardInterrupt):
            next(matches)
        assert not peer.cancels
        assoc.echo()
        assert peer.cancels == 1


def test_a_lost_connection_ends_the_matches() -> None:
    peer = Asked(lambda cid, rq: [*pending(cid, rq, 2), CLOSE])
    assoc = peer.connect()
    found = []
    with pytest.raises(TransportError, match="closed the connection"):
        append_all(found, assoc.find(STUDY))
    assert len(found) == 2


def test_a_match_longer_than_allowed_ends_the_query() -> None:
    def answers(context_id, command):
        return [
            response(context_id, command, 0xFF00, data=bytes(2000)),
            *pending(context_id, command),
        ]

    with Asked(answers).connect(max_object_bytes=1000) as assoc:
        with pytest.raises(DataError, match="more than 1000 bytes"):
            list(assoc.find(STUDY))
        assoc.echo()


# --- models ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "operation", "keywords", "uid"),
    [
        (None, "C-FIND", {"QueryRetrieveLevel": "PATIENT"}, "1.2.840.10008.5.1.4.1.2.1.1"),
        (None, "C-MOVE", {"QueryRetrieveLevel": "IMAGE"}, "1.2.840.10008.5.1.4.1.2.2.2"),
        (None, "C-FIND", {"ScheduledProcedureStepSequence": []}, "1.2.840.10008.5.1.4.31"),
        ("patient", "C-GET", {"QueryRetrieveLevel": "STUDY"}, "1.2.840.10008.5.1.4.1.2.1.3"),
        ("composite_instance", "C-GET", {}, "1.2.840.10008.5.1.4.1.2.4.3"),
        ("without_bulk_data", "C-GET", {}, "1.2.840.10008.5.1.4.1.2.5.3"),
        ("ups_pull", "C-FIND", {}, "1.2.840.10008.5.1.4.34.6.3"),
        ("repository", "C-FIND", {}, "1.2.840.10008.5.1.4.1.1.201.6"),
        ("1.2.3", "C-FIND", {}, "1.2.3"),
        ("HangingProtocolInformationModelFind", "C-FIND", {}, "1.2.840.10008.5.1.4.38.2"),
    ],
)
def test_models_are_found(model, operation, keywords, uid) -> None:
    assert sop_class_for(model, operation, DataSet.from_keywords(**keywords)) == uid


def test_every_model_has_a_query_or_a_retrieval() -> None:
    for model in MODELS:
        found = []
        for operation in ("C-FIND", "C-GET", "C-MOVE"):
            try:
                found.append(sop_class_for(model, operation, DataSet()))
            except ValueError:
                continue
        assert found, model


@pytest.mark.parametrize(
    ("model", "operation", "words"),
    [
        (None, "C-FIND", "expected a model"),
        ("nonsense", "C-FIND", "got 'nonsense'"),
        ("worklist", "C-MOVE", "has no C-MOVE"),
    ],
)
def test_models_that_there_are_not(model, operation, words) -> None:
    with pytest.raises(ValueError, match=words):
        sop_class_for(model, operation, DataSet())


# --- C-MOVE ----------------------------------------------------------------------------------


def counted(context_id, command, status, counts, data=None):
    values = {
        CommandElement.COMMAND_FIELD: command.command_field | 0x8000,
        CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: command.message_id,
        CommandElement.STATUS: status,
        **{0x1020 + index: count for index, count in enumerate(counts) if count is not None},
    }
    return message(context_id, encode_command(values, has_data_set=data is not None), data)


def test_a_move_tells_how_far_it_is() -> None:
    def answers(context_id, command):
        assert command.elements.MoveDestination == "DEST"
        failed = DataSet.from_keywords(FailedSOPInstanceUIDList=["1.2", "1.3"])
        return [
            counted(context_id, command, 0xFF00, (2, 1, 0, 0)),
            counted(context_id, command, 0xFF00, (1, 1, 1, 0)),
            counted(context_id, command, 0xB000, (None, 1, 2, 0), failed.to_bytes(EXPLICIT)),
        ]

    steps = [
        MoveProgress(2, 1, 0, 0, 0xFF00),
        MoveProgress(1, 1, 1, 0, 0xFF00),
        MoveProgress(None, 1, 2, 0, 0xB000, ("1.2", "1.3")),
    ]
    with Asked(answers).connect() as assoc:
        moves = assoc.move(STUDY, "DEST", on_warning="ignore")
        assert list(moves) == steps
        assert moves.status == 0xB000
        told = []
        with pytest.raises(RetrievalIncomplete, match=r"2 failed: 1\.2, 1\.3") as caught:
            append_all(told, assoc.move(STUDY, "DEST"))
        assert told == steps
        assert caught.value.progress == steps[-1]
        assert caught.value.status == 0xB000


@pytest.mark.parametrize("status", [0, 0xB000])
def test_a_move_of_which_some_failed_is_no_success(status: int) -> None:
    with Asked(lambda *rq: [counted(*rq, status, (None, 1, 2, 0))]).connect() as assoc:
        with pytest.raises(RetrievalIncomplete, match="1 completed, 0 with a warning, 2 failed"):
            list(assoc.move(STUDY, "DEST"))
        assert list(assoc.move(STUDY, "DEST", on_warning="ignore"))


@pytest.mark.parametrize("destination", ["", "x" * 17, "Z\u00dcRICH", "a\\b"])
def test_a_destination_that_is_no_title_is_not_sent(destination: str) -> None:
    with Asked(lambda *_: []).connect() as assoc:
        with pytest.raises(ConfigurationError, match=r"^destination: expected 1 to 16 ASCII"):
            assoc.move(STUDY, destination)
        assert assoc.is_open


def test_a_move_that_fails_says_how_far_it_came() -> None:
    def answers(context_id, command):
        return [counted(context_id, command, 0xA702, (None, 3, 1, 0))]

    with Asked(answers).connect() as assoc:
        moves = assoc.move(STUDY, "DEST")
        with pytest.raises(DimseFailure, match="3 completed, 0 with a warning, 1 failed"):
            list(moves)
        assert moves.progress == MoveProgress(None, 3, 1, 0, 0xA702)


def test_a_move_is_cancelled_in_the_middle() -> None:
    def answers(context_id, command):
        return [counted(context_id, command, 0xFF00, (9, 1, 0, 0))]

    peer = Asked(answers)
    with peer.connect() as assoc:
        moves = assoc.move(STUDY, "DEST")
        next(moves)
        assoc.cancel()
        (last,) = moves
        assert last.status == Status.CANCEL
        assert peer.cancels == 1


# --- C-GET -----------------------------------------------------------------------------------


def instance(number: int) -> DataSet:
    return DataSet.from_keywords(SOPClassUID=CT, SOPInstanceUID=f"1.2.{number}", Rows=number)


class Getting(Asked):
    """Sends instances one after the other, each when the one before was answered."""

    def __init__(self, *instances: DataSet | bytes, **policy: object) -> None:
        super().__init__(self.begin, **policy)
        self.instances = list(instances)
        self.context = 0

    def on_associate(self, rq):
        for context in rq.presentation_contexts:
            if context.abstract_syntax == CT and EXPLICIT in context.transfer_syntaxes:
                self.context = context.context_id
        return super().on_associate(rq)

    def begin(self, context_id, command):
        return self.go_on()

    def on_message(self, context_id, command, data):
        if command.command_field == CommandField.C_CANCEL_RQ:
            self.instances.clear()
        yield from super().on_message(context_id, command, data)
        if command.is_response and not self.cancels:
            yield from self.go_on()

    def go_on(self):
        number = len(self.store_statuses) + 1
        if not self.instances:
            failed = sum(status != 0 for status in self.store_statuses)
            counts = (None, number - 1 - failed, failed, 0)
            yield counted(*self.request, 0xB000 if failed else 0, counts)
            return
        found = self.instances.pop(0)
        data = found if isinstance(found, bytes) else found.to_bytes(EXPLICIT)
        yield store_request(self.context, number, f"1.2.{number}", data)


def test_instances_come_on_the_same_association(tmp_path) -> None:
    peer = Getting(instance(1), instance(2), instance(3))
    with peer.connect() as assoc:
        instances = assoc.get(STUDY)
        found = list(instances)
        assert instances.progress == MoveProgress(None, 3, 0, 0, 0)
    assert found == [instance(1), instance(2), instance(3)]
    assert peer.store_statuses == [0, 0, 0]
    assert found[0].file_meta.SourceApplicationEntityTitle == "ANY-SCP"
    write_file(tmp_path / "x.dcm", found[0])
    requests = [pdu for pdu in peer.pdus if isinstance(pdu, AssociateRq)]
    roles = {role.sop_class_uid: role for role in requests[-1].user_information.roles}
    assert (roles[CT].scu, roles[CT].scp) == (False, True)
    assert len(requests[-1].presentation_contexts) <= 128


def test_success_is_answered_when_the_next_one_is_asked_for() -> None:
    peer = Getting(instance(1), instance(2))
    with peer.connect() as assoc:
        instances = assoc.get(STUDY, sop_classes=["CTImageStorage"])
        next(instances)
        assert peer.store_statuses == []
        next(instances)
        assert peer.store_statuses == [0]
        assert list(instances) == []
        assert peer.store_statuses == [0, 0]
    assert peer.associations == 2


def test_leaving_early_fails_the_last_instance_and_cancels() -> None:
    peer = Getting(instance(1), instance(2), instance(3))
    with peer.connect() as assoc:
        for _ in assoc.get(STUDY):
            break
        assert peer.store_statuses == [Status.PROCESSING_FAILURE]
        assert peer.cancels == 1
        assoc.echo()


def test_instances_that_cannot_be_kept_or_read_are_failures() -> None:
    peer = Getting(bytes(2000), b"\x10\x00\x10\x00PN\xff\x00x", instance(3))
    with peer.connect(max_object_bytes=1000) as assoc:
        instances = assoc.get(STUDY)
        found = []
        with pytest.raises(RetrievalIncomplete) as caught:
            append_all(found, instances)
        assert found == [instance(3)]
        assert caught.value.progress == MoveProgress(None, 1, 2, 0, 0xB000, ("1.2.1", "1.2.2"))
    assert peer.store_statuses == [Status.OUT_OF_RESOURCES, Status.CANNOT_UNDERSTAND, 0]


def test_what_is_no_object_is_a_failure() -> None:
    nothing, nobody = b"", DataSet.from_keywords(PatientID="X")
    no_class = DataSet.from_keywords(SOPInstanceUID="1.2.3")
    peer = Getting(nothing, nobody, no_class, instance(4))
    with peer.connect() as assoc:
        found: list[DataSet] = []
        with pytest.raises(RetrievalIncomplete) as caught:
            append_all(found, assoc.get(STUDY))
        assert found == [instance(4)]
        assert caught.value.progress.failed_sop_instance_uids == ("1.2.1", "1.2.2", "1.2.3")
    other_class = Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS
    assert peer.store_statuses == [Status.CANNOT_UNDERSTAND, other_class, other_class, 0]


def test_long_instances_come_out_of_a_file(tmp_path) -> None:
    long = instance(1)
    long.PixelData = bytes(range(256)) * 400
    peer = Getting(long, instance(2))
    with peer.connect(spool_bytes=10_000, spool_directory=tmp_path) as assoc:
        found = list(assoc.get(STUDY))
    assert found == [long, instance(2)]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_failure_of_that_instance(tmp_path) -> None:
    long = instance(1)
    long.PixelData = bytes(100_000)
    peer = Getting(long, instance(2))
    with peer.connect(spool_bytes=10_000, spool_directory=tmp_path / "missing") as assoc:
        assert list(assoc.get(STUDY, on_warning="ignore")) == [instance(2)]
    assert peer.store_statuses == [Status.OUT_OF_RESOURCES, 0]


class Lying(Getting):
    """Says Success, whatever became of the instances."""

    def __init__(self, *instances: DataSet | bytes, completed: int) -> None:
        super().__init__(*instances)
        self.completed = completed

    def go_on(self):
        if self.instances:
            yield from super().go_on()
        else:
            yield counted(*self.request, 0, (None, self.completed, 0, 0))


def test_success_is_not_believed_where_instances_were_refused_or_never_came() -> None:
    broken = b"\x10\x00\x10\x00PN\xff\x00x"
    with Lying(instance(1), broken, completed=2).connect() as assoc:
        with pytest.raises(RetrievalIncomplete, match="says Success, but") as caught:
            list(assoc.get(STUDY))
        assert caught.value.progress == MoveProgress(None, 1, 1, 0, 0, ("1.2.2",))
    with Lying(instance(1), completed=5).connect() as assoc:
        with pytest.raises(RetrievalIncomplete) as caught:
            list(assoc.get(STUDY))
        assert caught.value.progress == MoveProgress(None, 1, 4, 0, 0)
    with Lying(instance(1), completed=1).connect() as assoc:
        assert list(assoc.get(STUDY)) == [instance(1)]


def test_a_failed_retrieval_releases_the_association() -> None:
    peer = Lying(instance(1), completed=2)
    with pytest.raises(RetrievalIncomplete), peer.connect() as assoc:
        list(assoc.get(STUDY))
    assert type(peer.pdus[-1]).__name__ == "ReleaseRq"


# --- what is proposed for a C-GET ------------------------------------------------------------

JPEG = "1.2.840.10008.1.2.4.50"
RLE = "1.2.840.10008.1.2.5"
MR = "1.2.840.10008.5.1.4.1.1.4"


class Telling(Getting):
    """Answers the queries before a C-GET with what `told` has for their level."""

    def __init__(self, **told: list[DataSet] | list[bytes]) -> None:
        super().__init__(abstract_syntaxes=lambda _: (RLE, JPEG, EXPLICIT, IMPLICIT))
        self.told = told
        self.queries: list[DataSet] = []

    def on_message(self, context_id, command, data):
        if command.command_field != CommandField.C_FIND_RQ:
            yield from super().on_message(context_id, command, data)
            return
        syntax = EXPLICIT
        query = DataSet.from_bytes(data, syntax)
        self.queries.append(query)
        for found in self.told.get(query.QueryRetrieveLevel, []):
            data = found if isinstance(found, bytes) else found.to_bytes(syntax)
            yield response(context_id, command, 0xFF00, data=data)
        yield response(context_id, command)

    @property
    def storage(self) -> dict[str, list[tuple[str, ...]]]:
        """The transfer syntaxes of each context of the last request, by storage SOP class."""
        request = [pdu for pdu in self.pdus if isinstance(pdu, AssociateRq)][-1]
        served = {role.sop_class_uid for role in request.user_information.roles if role.scp}
        found: dict[str, list[tuple[str, ...]]] = {}
        for context in request.presentation_contexts:
            if context.abstract_syntax in served:
                found.setdefault(context.abstract_syntax, []).append(context.transfer_syntaxes)
        return found


STUDY_UID = DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")


def test_each_class_and_syntax_has_a_context_of_its_own() -> None:
    peer = Telling()
    with peer.connect() as assoc:
        list(assoc.get(STUDY_UID, sop_classes=[CT, MR], transfer_syntaxes=[JPEG, "RLELossless"]))
    assert peer.storage[CT][:2] == peer.storage[MR][:2] == [(JPEG,), (RLE,)]
    accepted = {
        (context.abstract_syntax, context.transfer_syntax) for context in assoc.terms.contexts
    }
    assert accepted >= {(CT, JPEG), (CT, RLE), (MR, JPEG), (MR, RLE)}
    assert peer.queries == []


def test_the_classes_of_a_study_are_asked_for_and_proposed_with_every_syntax() -> None:
    told = DataSet.from_keywords(StudyInstanceUID="1.2", SOPClassesInStudy=[CT, MR])
    peer = Telling(STUDY=[told])
    with peer.connect() as assoc:
        list(assoc.get(STUDY_UID))
        assert peer.associations == 2
        list(assoc.get(STUDY_UID))
    assert peer.associations == 2
    assert {syntax for (syntax,) in peer.storage[CT]} >= {EXPLICIT, IMPLICIT, JPEG, RLE}
    assert set(peer.storage[MR]) >= {(EXPLICIT,), (JPEG,)}


def test_where_a_study_does_not_tell_its_instances_do() -> None:
    peer = Telling(
        STUDY=[DataSet.from_keywords(StudyInstanceUID="1.2")],
        SERIES=[DataSet.from_keywords(SeriesInstanceUID=uid) for uid in ("1.2.1", "1.2.2")],
        IMAGE=[DataSet.from_keywords(SOPClassUID=MR, AvailableTransferSyntaxUID=RLE)],
    )
    with peer.connect() as assoc:
        list(assoc.get({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}))
    assert [query.get("SeriesInstanceUID") for query in peer.queries] == [
        *(None, None, "1.2.1", "1.2.2")
    ]
    assert peer.storage[MR][:3] == [(EXPLICIT,), (IMPLICIT,), (RLE,)]
    assert CT not in peer.storage


@pytest.mark.parametrize("told", ["\xe9", "unknown", "1..2"])
def test_what_is_told_and_is_no_uid_is_not_proposed(told: str) -> None:
    def element(name: str, *values: str) -> bytes:
        value = "\\".join(values).encode("latin-1")
        value += bytes(len(value) % 2)
        tag = tag_of(name)
        return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, b"UI", len(value)) + value

    syntaxes = element("AvailableTransferSyntaxUID", told, RLE)
    peer = Telling(
        STUDY=[element("SOPClassesInStudy", told)],
        SERIES=[element("SeriesInstanceUID", "1.2.1")],
        IMAGE=[element("SOPClassUID", MR) + syntaxes, element("SOPClassUID", told, MR)],
    )
    with peer.connect() as assoc:
        list(assoc.get({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}))
    assert peer.storage[MR][:3] == [(EXPLICIT,), (IMPLICIT,), (RLE,)]
    assert told not in peer.storage
    assert (told,) not in peer.storage[MR]


def test_where_nobody_tells_the_common_ones_are_proposed() -> None:
    peer = Telling()
    with peer.connect() as assoc:
        list(assoc.get(STUDY_UID))
    assert len(peer.queries) == 2
    request = [pdu for pdu in peer.pdus if isinstance(pdu, AssociateRq)][-1]
    assert len(request.presentation_contexts) == 128
    of_ct = [c.transfer_syntaxes for c in request.presentation_contexts if c.abstract_syntax == CT]
    assert (JPEG,) in of_ct
    assert (EXPLICIT, IMPLICIT) in of_ct


class Holding(Telling):
    """Has objects of many SOP classes, and sends those whose class has a context."""

    def __init__(self, sop_classes: list[str]) -> None:
        super().__init__()
        self.sop_classes = sop_classes
        self.contexts: dict[str, int] = {}

    def on_associate(self, rq):
        self.contexts = {
            context.abstract_syntax: context.context_id
            for context in rq.presentation_contexts
            if EXPLICIT in context.transfer_syntaxes
        }
        return super().on_associate(rq)

    def begin(self, context_id, command):
        self.left = list(self.sop_classes)
        self.failed = 0
        return self.go_on()

    def go_on(self):
        while self.left:
            uid = self.left.pop()
            if uid in self.contexts:
                data = DataSet.from_keywords(SOPClassUID=uid, SOPInstanceUID=f"9.{uid}")
                request = store_request(0, 1, f"9.{uid}", data.to_bytes(EXPLICIT))
                pdus = [
                    PDataTf(tuple(pdv._replace(context_id=self.contexts[uid]) for pdv in pdu.pdvs))
                    for pdu in request
                ]
                yield pdus
                return
            self.failed += 1
        completed = len(self.sop_classes) - self.failed
        yield counted(
            *self.request, 0xB000 if self.failed else 0, (None, completed, self.failed, 0)
        )


def test_more_than_an_association_takes_comes_over_several() -> None:
    classes = [f"1.2.3.4.{number}" for number in range(100)]
    peer = Holding(classes)
    with peer.connect() as assoc:
        instances = assoc.get(
            STUDY_UID,
            sop_classes=classes,
            transfer_syntaxes=["JPEG2000", "RLELossless", "ExplicitVRLittleEndian"],
        )
        found = list(instances)
        assert instances.progress == MoveProgress(None, 100, 0, 0, 0)
        assert instances.status == 0
    # 126 contexts are two syntaxes of some classes; each instance is given once.
    assert len(found) == 100
    assert {str(each.SOPClassUID) for each in found} == set(classes)
    assert peer.associations == 4


def test_what_is_chosen_is_all_that_is_proposed() -> None:
    peer = Telling()
    with peer.connect() as assoc:
        list(assoc.get(STUDY_UID, sop_classes=[CT]))
        list(assoc.get(STUDY_UID, sop_classes=[CT], transfer_syntaxes=[EXPLICIT]))
        assert peer.storage == {CT: [(EXPLICIT,)]}
        before = peer.associations
        list(assoc.get(STUDY_UID, sop_classes=[CT], transfer_syntaxes=[EXPLICIT]))
        assert peer.associations == before
