"""How fast our endpoint receives, beside DCMTK's `storescp` and bare Python.

Run it with ``python tests/benchmarks/bench_receive.py`` (4 to 5 minutes); ``--only store-9k,echo``
runs some rows, ``--servers handler,dcmtk`` some servers, ``--rounds``, ``--objects`` and their like
say how much, ``--json`` prints everything as JSON. The ratios are what counts: machines differ, and
so does one machine from minute to minute. So the servers take turns within each round, the order
rotates, a figure is the median of the rounds, and a ratio the median of the rounds' ratios; with
``--best``, for a machine that others use as well, the best round of each counts.

Every server is a process of its own; what it stores goes to a folder on tmpfs, which is emptied
between turns and in which each object must be found. The user is `plain_user`, in one process of
its own: bytes that were encoded before, over plain sockets. Several associations are threads of
that process and not processes: a thread of it is in `send` or `recv` nearly always, where Python's
lock is free. On two cores, two or four processes gave the same figures within 5 %, for DCMTK's
server and the bare one; what the user computed is in the table. CPU is user and system time of the
server's processes by /proc, in ticks of 10 ms, over all rounds; where others use the machine, its
ratio is the steadier one.

Nagle's algorithm spoils such comparisons. DCMTK leaves it on unless the environment variable
``TCP_NODELAY=1`` is set, as it is here, and writes each response in two pieces: the second one
waits for the user's ACK of the first, which the user's kernel delays by 40 ms unless it is told
not to (TCP_QUICKACK, as `plain_user` does) or has something to send. A user that reads the
response before it sends on then gets 23 C-ECHOs a second instead of 10,000, and what is compared
is a timer of the kernel. With TCP_QUICKACK alone DCMTK is as fast as with TCP_NODELAY as well.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))
import bench_find
from data_inputs import ct
from plain_user import (
    EXPLICIT,
    UID,
    Contents,
    PlainUser,
    Timing,
    UserProcess,
    associate,
    echo,
    echo_times,
    store,
)
from receiving_servers import SERVERS, Server, dcmtk_program, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BASE = "dcmtk"
OPENING_LIMIT = 30.0
"""Seconds for opening the associations that idle; what is open by then is measured."""

MIB = 1 << 20


class Turn(NamedTuple):
    """A turn of one server: per message, seconds of wall time and of CPU."""

    wall: float
    cpu: float
    user: float


@dataclass
class Line:
    """A line of the table: what each server did, round by round."""

    title: str
    is_best: bool = False
    turns: dict[str, list[Turn]] = field(default_factory=dict)
    peaks: dict[str, float] = field(default_factory=dict)

    def wall(self, name: str) -> float:
        """Seconds a message: the median of the rounds, or the best of them."""
        choose = min if self.is_best else statistics.median
        return choose(turn.wall for turn in self.turns[name])

    def ratio(self, name: str, base: str = BASE) -> float | None:
        """Median of the rounds' ratios to the base, or the ratio of the best ones."""
        if base not in self.turns:
            return None
        if self.is_best:
            return self.wall(name) / self.wall(base)
        pairs = zip(self.turns[name], self.turns[base], strict=True)
        return statistics.median(turn.wall / other.wall for turn, other in pairs)

    def cpu(self, name: str) -> float:
        """Mean CPU seconds a message, of the server."""
        return statistics.fmean(turn.cpu for turn in self.turns[name])

    def user(self) -> float:
        """Mean CPU seconds a message, of the user."""
        return statistics.fmean(turn.user for turns in self.turns.values() for turn in turns)

    def as_json(self) -> dict[str, Any]:
        """All of it, in microseconds and MiB."""
        return {
            "title": self.title,
            "user_cpu_us": self.user() * 1e6,
            "servers": {
                name: {
                    "us": self.wall(name) * 1e6,
                    "ratio": self.ratio(name),
                    "cpu_us": self.cpu(name) * 1e6,
                    "rounds_us": [turn.wall * 1e6 for turn in turns],
                    "peak_mib": self.peaks.get(name),
                }
                for name, turns in self.turns.items()
            },
        }


@dataclass(frozen=True)
class Row:
    """A line to be measured.

    Attributes:
        title: what is done.
        work: a function for the user's process: a port, then the arguments; gives a `Timing`.
        arguments: what it is called with after the port, the number of messages at `count_at`.
        messages: how many messages a turn has.
        count_at: the place of that number in the arguments.
        stored: the length of each object that has to be in the folder afterwards; 0: none.
        fork: whether DCMTK's has a process for each association.
        rounds: at most so many rounds.
        peak: whether the peak of memory is looked at.
    """

    title: str
    work: Callable[..., Timing]
    arguments: tuple[Any, ...]
    messages: int
    count_at: int = 0
    stored: int = 0
    fork: bool = False
    rounds: int = 100
    peak: bool = False

    def turn(self, user: UserProcess, server: Server, *, warming: bool = False) -> Turn:
        """Have one server do it once, and check what it stored."""
        arguments = list(self.arguments)
        if warming:
            # The first turn starts threads and maps code; a tenth of the messages is enough.
            arguments[self.count_at] = max(self.messages // 10, 16 if self.fork else 1)
        server.empty()
        before = server.cpu()
        timing = user.call(self.work, server.port, *arguments)
        spent = server.cpu() - before
        if self.stored and server.name != "null":
            files = server.files()
            assert len(files) == arguments[self.count_at], (server.name, len(files))
            assert all(path.stat().st_size > self.stored for path in files), server.name
        server.empty()
        return Turn(*(value / self.messages for value in (timing.seconds, spent, timing.cpu)))


class Benchmark:
    """All rows, with what they need: the user's process, the folder, the options."""

    def __init__(self, user: UserProcess, folder: Path, options: argparse.Namespace) -> None:
        self.user = user
        self.folder = folder
        self.options = options
        elements = _elements()
        self._large = Contents(elements, 512 * 512 * 2)
        self._small = Contents(elements, 36 * 36 * 2)
        self._largest = Contents(elements, 315_000_000)
        self.rows = self._rows()

    def _rows(self) -> dict[str, Row]:
        options = self.options

        def storing(title: str, contents: Contents, count: int, peers: int = 1, **more: Any) -> Row:
            return Row(
                title,
                store,
                (contents, count, peers),
                count,
                count_at=1,
                stored=len(contents.elements) + contents.pixels,
                fork=peers > 1,
                **more,
            )

        large, small, many = options.objects, options.small_objects, options.objects * 8 // 5
        many = max(many - many % 16, 16)
        return {
            "store-500k": storing("C-STORE 0.5 MB, 1 association", self._large, large),
            "store-9k": storing("C-STORE 9 KB, 1 association", self._small, small),
            "store-4": storing("C-STORE 0.5 MB, 4 associations", self._large, many, 4),
            "store-16": storing("C-STORE 0.5 MB, 16 associations", self._large, many, 16),
            "store-315m": storing("C-STORE 315 MB", self._largest, 1, rounds=3, peak=True),
            "echo": Row("C-ECHO", echo, (options.echoes,), options.echoes),
            "associate": Row(
                "associate + echo + release",
                associate,
                (options.associations,),
                options.associations,
            ),
        }

    def measure(self, row: Row) -> Line:
        """Measure a row: all servers in turn, round by round."""
        names = self.options.servers
        with contextlib.ExitStack() as stack:
            servers = {
                name: stack.enter_context(running(name, self.folder, fork=row.fork))
                for name in names
            }
            return self.take_turns(row, servers)

    def take_turns(self, row: Row, servers: dict[str, Server]) -> Line:
        """The rounds of a row."""
        line = Line(row.title, self.options.best, {name: [] for name in servers})
        for server in servers.values():
            row.turn(self.user, server, warming=not row.peak)
        names = list(servers)
        for _ in range(min(self.options.rounds, row.rounds)):
            names.append(names.pop(0))
            for name in names:
                server = servers[name]
                if row.peak:
                    server.forget_peak()
                    before = server.status("VmRSS")
                line.turns[name].append(row.turn(self.user, server))
                if row.peak:
                    grown = (server.status("VmHWM") - before) / MIB
                    line.peaks[name] = max(line.peaks.get(name, 0), grown)
        return line

    # --- associations that idle --------------------------------------------------------------

    def idle(self, count: int, descriptors: int | None = None) -> dict[str, Any]:
        """What idle associations cost, and what an association beside them takes.

        Args:
            count: how many; each had a C-ECHO.
            descriptors: the server's limit for open files; None: the highest that it may have.
        """
        row = self.rows["associate"]
        with (
            running("handler", self.folder, descriptors=descriptors) as server,
            running("handler", self.folder) as alone,
            running(BASE, self.folder) as base,
        ):
            row.turn(self.user, server)  # what the first associations cost once
            memory, threads = server.status("VmRSS"), server.status("Threads")
            files = server.descriptors()
            before = server.cpu()
            with idling(server.port, count) as (users, seconds):
                opening = server.cpu() - before
                _closed(users, 1.0)  # whatever is done a moment after the last byte
                held = len(users)
                costs: dict[str, Any] = {
                    "asked for": count,
                    "open": held,
                    "server's descriptor limit": descriptors or _descriptor_limit(),
                    "opened in, s": seconds,
                    "CPU of opening each, us": opening / max(held, 1) * 1e6,
                    "memory of each, KB": (server.status("VmRSS") - memory) / max(held, 1) / 1e3,
                    "threads": server.status("Threads") - threads,
                    "descriptors of each": (server.descriptors() - files) / max(held, 1),
                }
                before = server.cpu()
                closed = _closed(users, self.options.idle_seconds)
                spent = server.cpu() - before
                costs["CPU while idle, %"] = spent / self.options.idle_seconds * 100
                costs["closed by the server meanwhile"] = closed
                try:
                    line = self.take_turns(row, {"beside": server, "alone": alone, BASE: base})
                except OSError as error:
                    costs["new association beside them"] = f"failed: {error}"
                else:
                    costs["associate + echo + release beside them, us"] = line.wall("beside") * 1e6
                    costs["the same with none open, us"] = line.wall("alone") * 1e6
                    costs["ratio to none open"] = line.ratio("beside", "alone")
                    costs["ratio to DCMTK with none open"] = line.ratio("beside")
                try:
                    for number, user in enumerate(users[:: max(held // 200, 1)]):
                        user.echo(number)
                    costs["a C-ECHO on (up to) 200 of them"] = "answered"
                except OSError as error:
                    costs["a C-ECHO on (up to) 200 of them"] = f"failed: {error}"
        return costs

    # --- queries, and a handler that computes ------------------------------------------------

    def find(self) -> dict[str, float | None]:
        """C-FIND of many matches, made for each query or made before it, beside `dcmqrscp`."""
        count = self.options.matches
        studies = min(count, bench_find.DCMTK_STUDIES)
        with (
            tempfile.TemporaryDirectory(dir=self.folder) as folder,
            bench_find.dcmqrscp(Path(folder), studies) as port,
            bench_find.Process(bench_find.OURS, count) as ours,
        ):
            asked = {
                "made": (ours.port, "ANY", 1, count),
                "prepared": (ours.port, "ANY", 2, count),
                BASE: (port, "QRSCP", 1, studies),
            }
            line = Line("C-FIND", self.options.best, {name: [] for name in asked})
            for number in range(self.options.rounds + 1):
                for name, arguments in asked.items():
                    seconds = self.user.call(bench_find.count, *arguments)
                    if number:
                        line.turns[name].append(Turn(seconds / arguments[3], 0.0, 0.0))
        return {
            "matches made by the handler, us each": line.wall("made") * 1e6,
            "ratio to dcmqrscp": line.ratio("made"),
            "matches made before, us each": line.wall("prepared") * 1e6,
            "the same to dcmqrscp": line.ratio("prepared"),
            f"DCMTK dcmqrscp ({studies} matches), us each": line.wall(BASE) * 1e6,
        }

    def computing(self) -> dict[str, dict[str, float]]:
        """C-ECHO on one association while a handler of another computes; milliseconds."""
        figures = {}
        for title, kind, interval, beside in (
            ("nobody computes", "busy", None, None),
            ("a handler computes", "busy", None, self._small),
            ("the same, sys.setswitchinterval(0.001)", "busy", 0.001, self._small),
            ("an isolated handler computes", "isolated", None, self._small),
        ):
            with running(kind, self.folder, switch_interval=interval) as server:
                times = sorted(self.user.call(echo_times, server.port, 2.5, beside))
            figures[title] = {
                "echoes": len(times),
                "p50": statistics.median(times) * 1e3,
                "p99": times[len(times) * 99 // 100] * 1e3,
                "max": times[-1] * 1e3,
            }
        return figures


def _elements() -> bytes:
    """The elements of a CT before Pixel Data, in Explicit VR Little Endian; 6 KB."""
    data_set = ct(1)
    del data_set.PixelData, data_set.DataSetTrailingPadding
    data_set.SOPInstanceUID = UID
    return data_set.to_bytes(EXPLICIT)


def _descriptor_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@contextlib.contextmanager
def idling(port: int, count: int, at_once: int = 32) -> Iterator[tuple[list[PlainUser], float]]:
    """Have so many associations open, or what the server grants within `OPENING_LIMIT`.

    Yields:
        The associations, each with one C-ECHO behind it, and the seconds that it took.
    """
    users: list[PlainUser] = []
    asking: list[PlainUser] = []
    began = time.perf_counter()
    try:
        while len(users) < count and time.perf_counter() - began < OPENING_LIMIT:
            for _ in range(min(at_once, count - len(users))):
                asking.append(PlainUser(port, limit=10))
            while asking:
                asking[0].accepted().echo(1)
                users.append(asking.pop(0))
    except OSError as error:
        print(f"{len(users)} associations are open, the next one: {error}", file=sys.stderr)
    seconds = time.perf_counter() - began
    try:
        yield users, seconds
    finally:
        for user in (*users, *asking):
            user.socket.close()


def _closed(users: list[PlainUser], seconds: float) -> int:
    """Wait so long; returns on how many associations something came, which is their end."""
    poll = select.poll()
    for user in users:
        poll.register(user.socket, select.POLLIN)
    ended: set[int] = set()
    end = time.perf_counter() + seconds
    while (rest := end - time.perf_counter()) > 0:
        for descriptor, _ in poll.poll(rest * 1000):
            poll.unregister(descriptor)
            ended.add(descriptor)
    return len(ended)


# --- what is printed ------------------------------------------------------------------------------


def print_heading(names: list[str], options: argparse.Namespace) -> None:
    """Say what is compared."""
    for name in names:
        print(f"  {name:<8} {SERVERS[name]}")
    figure = "best" if options.best else "median"
    print(f"us a message, {figure} of {options.rounds} rounds (ratio to {BASE})")
    print(f"{'':36}" + "".join(f"{name:>18}" for name in names) + f"{'user':>9}", flush=True)


def print_line(line: Line) -> None:
    """A line of the table, and what it took of CPU below it."""
    walls = [_cell(line.wall(name), line.ratio(name)) for name in line.turns]
    print(f"{line.title:36}" + "".join(walls))
    base = line.cpu(BASE) if BASE in line.turns else 0
    cpu = [_cell(line.cpu(name), line.cpu(name) / base if base else None) for name in line.turns]
    print(f"{'  CPU':36}" + "".join(cpu) + f"{line.user() * 1e6:>9,.0f}", flush=True)
    if line.peaks:
        peaks = "".join(f"{line.peaks[name]:>18,.1f}" for name in line.turns)
        print(f"{'  peak over idle, MiB':36}{peaks}", flush=True)


def _cell(seconds: float, ratio: float | None) -> str:
    beside = "" if ratio is None else f" ({ratio:.2f})"
    return f"{seconds * 1e6:,.0f}{beside}".rjust(18)


def print_figures(title: str, figures: dict[str, Any]) -> None:
    """Figures that have no column."""
    print(title)
    for name, value in figures.items():
        if isinstance(value, dict):
            text = "  ".join(f"{key} {_number(one)}" for key, one in value.items())
        else:
            text = _number(value)
        print(f"  {name:<50} {text}", flush=True)


def _number(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def machine() -> dict[str, Any]:
    """What it ran on."""
    program = dcmtk_program("storescp")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "kernel": platform.release(),
        "dcmtk": version.stdout.split()[2],
        "descriptors": _descriptor_limit(),
    }


def main() -> None:
    """Measure what was asked for."""
    options = _options()
    # So that the servers are killed, too, when this is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    began = time.perf_counter()
    report: dict[str, Any] = {"machine": machine()}
    tmpfs = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with (
        UserProcess() as user,
        tempfile.TemporaryDirectory(dir=tmpfs) as folder,
        contextlib.redirect_stdout(sys.stderr if options.json else sys.stdout),
    ):
        print(report["machine"])
        benchmark = Benchmark(user, Path(folder), options)
        wanted = [key for key in benchmark.rows if key in options.only]
        if wanted:
            print_heading(options.servers, options)
        for key in wanted:
            line = benchmark.measure(benchmark.rows[key])
            report[key] = line.as_json()
            print_line(line)
        hold = min(options.descriptors, hard)
        for key, title, measure in (
            ("find", f"C-FIND of {options.matches} matches", benchmark.find),
            ("busy", "C-ECHO beside a handler in pure Python, ms", benchmark.computing),
            ("idle", "idle associations", lambda: benchmark.idle(options.idle)),
            ("idle-10k", "many idle associations", lambda: benchmark.idle(options.many, hold)),
        ):
            if key in options.only:
                report[key] = measure()
                print_figures(title, report[key])
        print(f"{time.perf_counter() - began:.0f} s")
    if options.json:
        print(json.dumps(report, indent=1))


ROWS = (
    "store-500k", "store-9k", "store-4", "store-16", "store-315m", "echo", "associate", "find",
    "busy", "idle", "idle-10k",
)  # fmt: skip


def _options() -> argparse.Namespace:
    def several(known: tuple[str, ...], text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"no {sorted(unknown)}; there are {', '.join(known)}")
        return [name for name in known if name in names]

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    rows, servers = partial(several, ROWS), partial(several, tuple(SERVERS))
    parser.add_argument("--only", type=rows, default=list(ROWS), help=", ".join(ROWS))
    parser.add_argument("--servers", type=servers, default=list(SERVERS), help=", ".join(SERVERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--objects", type=int, default=200, help="of 0.5 MB in a turn")
    parser.add_argument("--small-objects", type=int, default=400, help="of 9 KB in a turn")
    parser.add_argument("--echoes", type=int, default=1_500, help="in a turn")
    parser.add_argument("--associations", type=int, default=150, help="in a turn")
    parser.add_argument("--matches", type=int, default=1_000)
    parser.add_argument("--idle", type=int, default=1_000, help="associations that idle")
    parser.add_argument("--idle-seconds", type=float, default=3.0)
    parser.add_argument("--many", type=int, default=10_000, help="associations of idle-10k")
    parser.add_argument(
        "--descriptors", type=int, default=12_000, help="limit of the server of idle-10k"
    )
    parser.add_argument(
        "--best", action="store_true", help="the best round of each, on a machine that is not idle"
    )
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
