"""The log service: it never waits, never raises, and says what it left out."""

from __future__ import annotations

import ast
import logging
import os
import threading
from pathlib import Path

import pytest
from supervision.kit import LIMIT, Gate, Journal, Worker, down_of, raise_error, watch, worker

import dicom_actors.supervision as package
from dicom_actors.supervision import (
    LogService,
    Supervisor,
    System,
    cast,
    monitor,
    which_children,
)

logger = logging.getLogger("tests.supervision.log")


class Sink(logging.Handler):
    """Keeps texts; holds the writing thread at a gate, if it has one."""

    def __init__(self, gate=None):
        super().__init__()
        self.gate = gate
        self.records = []
        self.began = threading.Event()

    def emit(self, record):
        self.began.set()
        if self.gate is not None:
            self.gate()
        self.records.append(record)

    @property
    def texts(self):
        return [record.getMessage() for record in self.records]


@pytest.fixture
def attach():
    attached = []

    def attach(sink):
        logger.addHandler(sink)
        attached.append(sink)
        return sink

    logger.propagate = False
    logger.setLevel(logging.INFO)
    yield attach
    for sink in attached:
        logger.removeHandler(sink)
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def clock():
    """A time that a test sets."""

    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def log(clock):
    log = LogService(monotonic=clock)
    yield log
    log.close()


def test_a_record_is_written_by_the_services_thread_as_it_was_when_it_came(attach, log):
    sink = attach(Sink())
    before = set(threading.enumerate())
    value = ["at first"]
    log.write(logger, logging.WARNING, "%s and %d", value, 7, extra={"more": "extra"})
    value[0] = "changed"
    assert log.flush(LIMIT)
    (record,) = sink.records
    assert record.getMessage() == "['at first'] and 7"
    assert record.levelno == logging.WARNING
    assert record.more == "extra"
    assert record.threadName == threading.current_thread().name
    assert record.filename == "test_log.py"
    assert record.funcName.startswith("test_a_record_is_written")
    (thread,) = set(threading.enumerate()) - before
    assert (thread.name, thread.daemon) == ("supervision-log", True)


def test_nothing_is_started_for_what_is_not_wanted(attach, log):
    sink = attach(Sink())
    before = set(threading.enumerate())
    log.write(logger, logging.DEBUG, "not wanted")
    assert set(threading.enumerate()) == before
    assert log.flush(0)
    assert sink.records == []


@pytest.mark.parametrize("how", ["exception", "true"])
def test_a_traceback_is_text_and_keeps_no_frames(attach, log, how):
    sink = attach(Sink())
    try:
        raise_error()
    except ValueError as error:
        log.write(
            logger, logging.ERROR, "it raised", exc_info=error if how == "exception" else True
        )
    assert log.flush(LIMIT)
    (record,) = sink.records
    assert record.exc_info is None
    text = logging.Formatter().format(record)
    assert text.startswith("it raised\nTraceback (most recent call last):")
    assert "in raise_error" in text
    assert text.endswith("ValueError: on purpose")


class Unprintable:
    def __init__(self, error):
        self.error = error

    def __str__(self):
        raise self.error


def test_what_cannot_be_said_raises_nothing_and_is_counted(attach, log):
    sink = attach(Sink())
    log.write(logger, logging.INFO, "%s", Unprintable(ValueError()))
    log.write(logger, logging.INFO, "%s", Unprintable(SystemExit()))
    log.write(logger, logging.INFO, "%d", "no number")
    log.write(logger, "no level", "text")
    log.write(None, logging.INFO, "text")
    log.write(logger, logging.INFO, "sound")
    assert log.flush(LIMIT)
    log.close()
    assert sink.texts == ["sound"]


def test_a_sink_that_raises_harms_nobody(attach, log):
    class Raises(Sink):
        def emit(self, record):
            super().emit(record)
            raise SystemExit

    sink = attach(Raises())
    log.write(logger, logging.INFO, "one")
    log.write(logger, logging.INFO, "two")
    assert log.flush(LIMIT)
    assert sink.texts == ["one", "two"]


# --- too much ------------------------------------------------------------------------------


def test_a_stalled_sink_keeps_nobody_waiting_and_what_was_dropped_is_told(attach, caplog):
    """The real thing: a pipe that nobody reads."""
    reads, writes = os.pipe()
    stream = os.fdopen(writes, "w", buffering=1)
    handler = logging.StreamHandler(stream)
    attach(handler)
    log = LogService(limit=100)
    for number in range(5_000):  # more than the pipe and the queue hold
        log.write(logger, logging.INFO, f"{number} {'x' * 100}")
    assert not log.flush(0)
    read = bytearray()

    def drain():
        while chunk := os.read(reads, 65_536):
            read.extend(chunk)

    reader = threading.Thread(target=drain)
    reader.start()
    assert log.flush(LIMIT)
    log.close()
    stream.close()
    reader.join(LIMIT)
    os.close(reads)
    lines = read.decode().splitlines()
    written = [int(line.split()[0]) for line in lines]
    told = [r.getMessage() for r in caplog.records if "were dropped" in r.getMessage()]
    assert written == sorted(set(written))
    assert told
    assert log.dropped == sum(int(text.split()[0]) for text in told)
    assert len(written) + log.dropped == 5_000


def test_what_is_said_too_often_is_counted(attach, log, clock):
    sink = attach(Sink())
    for number in range(1_801):
        log.write(logger, logging.ERROR, "crash %d", number)
    log.write(logger, logging.WARNING, "crash %d", 1)  # another level is another kind
    log.write(logger, logging.ERROR, "else")
    assert log.flush(LIMIT)
    first = [f"crash {number}" for number in range(20)]
    assert sink.texts == [*first, "crash 1", "else"]
    clock.now += 1.0
    log.write(logger, logging.ERROR, "crash %d", 5_000)
    assert log.flush(LIMIT)
    assert sink.texts[22:] == ["... 1,781 more like this: crash 19", "crash 5000"]
    assert sink.records[22].levelno == logging.ERROR
    clock.now += 5.0
    log.write(logger, logging.ERROR, "crash %d", 5_001)
    assert log.flush(LIMIT)
    assert sink.texts[24:] == ["crash 5001"]


def test_what_was_said_too_often_is_told_though_nothing_follows(attach):
    sink = attach(Sink())
    log = LogService()
    for _ in range(25):
        log.write(logger, logging.ERROR, "crash")
    told = Gate()

    class Told(logging.Filter):
        def filter(self, record):
            if "more like this" in record.getMessage():
                told.entered.set()
            return True

    sink.addFilter(Told())
    told.wait_entered()
    log.close()
    assert next(text for text in sink.texts if "more" in text).startswith("... ")


def test_what_is_said_for_debugging_is_all_written(attach, log):
    sink = attach(Sink())
    logger.setLevel(logging.DEBUG)
    for number in range(500):
        log.write(logger, logging.DEBUG, "PDU %d", number)
    assert log.flush(LIMIT)
    assert sink.texts == [f"PDU {number}" for number in range(500)]


def test_what_was_said_too_often_is_told_at_the_end(attach, log):
    sink = attach(Sink())
    for _ in range(25):
        log.write(logger, logging.ERROR, "crash")
    log.close()
    assert sink.texts == ["crash"] * 20 + ["... 5 more like this: crash"]


def test_kinds_without_end_cost_no_memory(attach, log, clock):
    sink = attach(Sink())
    for number in range(3_000):
        log.write(logger, logging.ERROR, f"kind {number}")
    assert len(log._repeats) <= 1_000
    clock.now += 2.0
    log.write(logger, logging.ERROR, "one more")
    assert len(log._repeats) == 1
    assert log.flush(LIMIT)
    assert len(sink.records) == 3_001


# --- the end -------------------------------------------------------------------------------


def test_close_writes_what_waits_and_ends_the_thread(attach):
    gate = Gate()
    sink = attach(Sink(gate))
    log = LogService()
    for number in range(10):
        log.write(logger, logging.INFO, "%d", number)
    gate.wait_entered()
    gate.release()
    log.close()
    assert sink.texts == [str(number) for number in range(10)]
    log.close()
    log.write(logger, logging.INFO, "late")
    assert log.flush(LIMIT)
    assert sink.texts[10:] == ["late"]


def test_close_waits_for_no_stalled_sink(attach, clock):
    gate = Gate()
    sink = attach(Sink(gate))
    log = LogService(monotonic=clock)
    log.write(logger, logging.INFO, "stalls")
    log.write(logger, logging.INFO, "never written")
    gate.wait_entered()
    log.close()  # returns, though the sink does not
    clock.now += 2.0
    gate.release()
    assert log.flush(LIMIT)
    assert sink.texts == ["stalls"]


def test_a_sink_may_ask_the_service_for_things(attach, log):
    class Asks(Sink):
        def emit(self, record):
            super().emit(record)
            self.flushed = log.flush(LIMIT)
            log.close()

    sink = attach(Asks())
    log.write(logger, logging.INFO, "one")
    assert log.flush(LIMIT)
    assert sink.flushed is False


# --- supervision writes all it says there --------------------------------------------------


def test_a_stalled_log_holds_up_no_actor_supervisor_or_timer(system, caplog):
    gate = Gate()
    sink = Sink(gate)
    root = logging.getLogger("dicom_actors.supervision")
    root.addHandler(sink)
    try:
        supervisor = Supervisor.start([worker("a")], intensity=1_000, system=system)
        for _ in range(50):
            (info,) = which_children(supervisor, timeout=LIMIT)
            down = watch(info.ref)
            monitor(info.ref, lambda down: raise_error())
            cast(info.ref, "unknown")
            info.ref.tell(raise_error)
            down_of(down)
        seen = Journal()
        system.timers.send_after(1.0, raise_error, "message")
        system.timers.send_after(1.0, seen.add, "message")
        system.advance(1.0)
        assert seen.entries == [("message",)]
        supervisor.stop(timeout=LIMIT)
        assert sink.records == []  # the first one still stalls
        gate.release()
        assert system.log.flush(LIMIT)
        assert len(sink.records) > 20
    finally:
        gate.release()
        root.removeHandler(sink)


def test_a_roots_end_closes_its_log(attach):
    sink = attach(Sink())
    ref = Worker.start()
    system = ref.life.system
    assert isinstance(system, System)
    system.log.write(logger, logging.INFO, "said")
    thread = system.log._thread
    ref.stop()
    thread.join(LIMIT)
    assert not thread.is_alive()
    assert sink.texts == ["said"]


def test_no_module_logs_in_the_thread_of_whoever_has_something_to_say():
    """But for `write_inline`, for those who have no system at hand."""
    for path in Path(package.__path__[0]).glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inline = [
            node.func.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in {"logger", "logging"}
            and node.func.attr not in {"getLogger", "isEnabledFor", "findCaller", "makeRecord"}
        ]
        assert inline == (["log"] if path.name == "log.py" else []), path.name
