"""Files of received objects: whole and durable or not there, and never outside their folder."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from kit.descriptors import open_below
from kit.endpoints import running
from kit.file_systems import limited, lowest_free_descriptor, other_file_system
from kit.gate import Gate
from kit.peer import Peer
from kit.waiting import until

from dicom_actors import EndpointConfig
from dicom_actors.actors.storing import part_file
from dicom_actors.actors.storing.storage import Storage, file_name_for
from dicom_actors.supervision import LogService

BOTH = pytest.mark.parametrize("by_path", [False, True], ids=["descriptors", "paths"])
KINDS = pytest.mark.parametrize("kind", ["memory", "spool"])


def make(spool: Path | None = None, *, by_path: bool = False, **settings: Any) -> Storage:
    return Storage(EndpointConfig(spool_directory=spool, **settings), LogService(), by_path=by_path)


def received(storage: Storage, kind: str = "memory", data: bytes = b"data") -> Any:
    storage._spool_bytes = 0 if kind == "spool" else 1 << 20
    receiver = storage.receiver(b"head")
    receiver.write(data)
    return receiver.finish()


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@BOTH
@KINDS
def test_an_object_is_written_and_stays_readable(kind: str, by_path: bool, tmp_path: Path) -> None:
    storage = make(tmp_path, by_path=by_path)
    one = received(storage, kind)
    path = storage.save(one, tmp_path / "a", "b.dcm")
    assert path == tmp_path / "a" / "b.dcm"
    assert path.read_bytes() == b"headdata"
    assert one.data == b"data"
    again = storage.save(one, str(tmp_path / "a"), "c/d/e.dcm")
    assert again.read_bytes() == b"headdata"
    one.discard()
    assert names(tmp_path) == ["a/b.dcm", "a/c/d/e.dcm"]


@BOTH
def test_a_spool_file_on_the_same_file_system_is_renamed(by_path: bool, tmp_path: Path) -> None:
    storage = make(tmp_path, by_path=by_path)
    one = received(storage, "spool")
    number = os.stat(one.path).st_ino
    assert storage.save(one, tmp_path / "a", "b/c.dcm").stat().st_ino == number


def test_another_file_system_gets_a_copy(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    with other_file_system(tmp_path) as spool:
        storage = make(spool)
        one = received(storage, "spool", data)
        assert storage.save(one, tmp_path, "b.dcm").read_bytes() == b"head" + data
        one.discard()
        assert names(spool) == []
    assert names(tmp_path) == ["b.dcm"]


def test_a_spool_file_that_somebody_removed_is_saved_all_the_same(tmp_path: Path) -> None:
    storage = make(tmp_path)
    one = received(storage, "spool")
    os.unlink(one.path)
    assert storage.save(one, tmp_path, "b.dcm").read_bytes() == b"headdata"


@BOTH
def test_the_umask_decides_who_may_read(by_path: bool, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        storage = make(tmp_path, by_path=by_path)
        for kind in ("memory", "spool"):
            storage.save(received(storage, kind), tmp_path, kind)
    finally:
        os.umask(before)
    modes = [(tmp_path / kind).stat().st_mode & 0o777 for kind in ("memory", "spool")]
    assert modes == [0o640, 0o640]


@BOTH
@KINDS
def test_a_failure_leaves_nothing_and_keeps_what_was(
    kind: str, by_path: bool, tmp_path: Path
) -> None:
    storage = make(tmp_path, by_path=by_path)
    storage.save(received(storage, kind, b"before"), tmp_path, "b.dcm")
    one = received(storage, kind)

    def refuse() -> None:
        raise RuntimeError("nobody waits for it")

    with pytest.raises(RuntimeError):
        storage.save(one, tmp_path, "b.dcm", refuse)
    one.discard()
    assert names(tmp_path) == ["b.dcm"]
    assert (tmp_path / "b.dcm").read_bytes() == b"headbefore"


def test_no_room_leaves_nothing_and_is_over_when_it_is_over(tmp_path: Path) -> None:
    storage = make()
    for kind, value in ((resource.RLIMIT_FSIZE, 5), (resource.RLIMIT_NOFILE, 0)):
        one = received(storage)
        storage.folders.root(str(tmp_path))
        with (
            limited(kind, value or lowest_free_descriptor()),
            pytest.raises(OSError, match=r"too large|Too many"),
        ):
            storage.save(one, tmp_path, "b.dcm")
        assert names(tmp_path) == []
        storage.save(one, tmp_path, "b.dcm").unlink()


# --- durable ---------------------------------------------------------------------------------


@BOTH
def test_every_folder_that_was_made_is_synchronized_and_the_one_that_it_is_in(
    by_path: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronized: list[tuple[int, int]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        status = os.fstat(descriptor)
        synchronized.append((status.st_ino, int(os.path.exists(tmp_path / "a/b/c/d/e.dcm"))))

    monkeypatch.setattr(os, "fsync", fsync)
    storage = make(by_path=by_path)
    path = storage.save(received(storage), tmp_path / "a" / "b", "c/d/e.dcm")
    inodes = {str(p): p.stat().st_ino for p in (path, *path.parents) if tmp_path in (p, *p.parents)}
    done = dict(synchronized)
    assert set(inodes.values()) <= set(done)
    assert (inodes[str(path)], 0) in synchronized  # the file before it had its name
    assert synchronized[-1] == (inodes[str(path.parent)], 1)  # the folder after that


def test_who_finds_a_folder_that_another_one_is_making_synchronizes_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study").mkdir()  # by somebody who has come no further
    synchronized = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (real(fd), synchronized.append(os.fstat(fd).st_ino))
    )
    storage = make()
    storage.save(received(storage), tmp_path, "study/b.dcm")
    assert tmp_path.stat().st_ino in synchronized


# --- folders that come and go ----------------------------------------------------------------


@BOTH
@KINDS
@pytest.mark.parametrize("name", ["b.dcm", "s/t/b.dcm"])
@pytest.mark.parametrize("how", ["removed", "moved away"])
def test_a_folder_that_is_gone_is_made_again(
    how: str, name: str, kind: str, by_path: bool, tmp_path: Path
) -> None:
    storage = make(tmp_path, by_path=by_path)
    root = tmp_path / "in"
    storage.save(received(storage, kind, b"first"), root, name)
    one = received(storage, kind, b"second")
    if how == "removed":
        subprocess.run(["rm", "-r", str(root)], check=True)
    else:
        root.rename(tmp_path / "elsewhere")
    path = storage.save(one, root, name)
    assert path.read_bytes() == b"headsecond"
    if how != "removed":
        assert (tmp_path / "elsewhere" / name).read_bytes() == b"headfirst"


@BOTH
def test_a_relative_folder_is_that_of_the_moment(
    by_path: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = make(by_path=by_path)
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        storage.save(received(storage), "in", "s/x.dcm")
        storage.save(received(storage), "", "y.dcm")
    assert names(tmp_path) == [f"{p}/{n}" for p in "ab" for n in ("in/s/x.dcm", "y.dcm")]


def test_many_folders_do_not_keep_as_many_descriptors(tmp_path: Path) -> None:
    storage = make()
    for number in range(300):
        storage.save(received(storage), tmp_path, f"{number}/b.dcm")
        storage.save(received(storage), tmp_path / f"{number}", "c.dcm")
    assert 0 < len(open_below(tmp_path)) <= 64
    storage.close()
    assert open_below(tmp_path) == []
    assert len(names(tmp_path)) == 600


def test_many_threads_share_the_folders(tmp_path: Path) -> None:
    storage = make()
    failed = []

    def work(number: int) -> None:
        try:
            for step in range(40):
                one = storage.receiver(b"head")
                one.write(b"data")
                storage.save(one.finish(), tmp_path, f"{(number * step) % 90}/{number}-{step}.dcm")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(names(tmp_path)) == 320


def test_names_of_parts_are_taken_by_many_threads() -> None:
    taken: list[str] = []
    some = part_file.part_names()

    def take() -> None:
        taken.extend(next(some) for _ in range(5_000))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(set(taken)) == 20_000


# --- links -----------------------------------------------------------------------------------


@BOTH
@KINDS
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("place", ["study", "study/series"])
def test_a_planted_link_is_not_followed(
    place: str, when: str, kind: str, by_path: bool, tmp_path: Path
) -> None:
    storage = make(tmp_path, by_path=by_path)
    root, outside = tmp_path / "in", tmp_path / "outside"
    outside.mkdir()
    (outside / "series").mkdir()
    link = root / place
    if when == "after":
        storage.save(received(storage, kind), root, "study/series/a.dcm")
        link.rename(tmp_path / "old")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    one = received(storage, kind)
    with pytest.raises(OSError) as caught:
        storage.save(one, root, "study/series/b.dcm")
    assert caught.value.errno in {errno.ELOOP, errno.ENOTDIR}
    one.discard()
    assert names(outside) == []
    assert not list(root.glob(".dicom-actors-*"))


@BOTH
def test_a_link_in_place_of_a_file_is_replaced_itself(by_path: bool, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "b.dcm").symlink_to(tmp_path / "precious")
    storage = make(by_path=by_path)
    path = storage.save(received(storage), tmp_path, "b.dcm")
    assert not path.is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"precious"


@BOTH
def test_the_root_itself_may_be_a_link(by_path: bool, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "in").symlink_to(tmp_path / "real")
    storage = make(by_path=by_path)
    for number in (1, 2):
        storage.save(received(storage), tmp_path / "in", f"s/{number}.dcm")
    assert names(tmp_path / "real") == ["s/1.dcm", "s/2.dcm"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/../../x", "/etc/x", "a/../x", "a/..", "x/\0", "/"]
)
def test_a_name_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    storage = make()
    with pytest.raises(ValueError, match=r"below the directory|null|subpath"):
        storage.save(received(storage), tmp_path / "in", name)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["./a//b.dcm", Path("a") / "b.dcm", "a/./b.dcm"])
def test_a_name_may_be_written_in_any_way(name: Any, tmp_path: Path) -> None:
    storage = make()
    assert storage.save(received(storage), tmp_path, name) == tmp_path / "a" / "b.dcm"
    absolute = tmp_path / "a" / "c.dcm"
    assert storage.save(received(storage), tmp_path, absolute) == absolute
    assert names(tmp_path) == ["a/b.dcm", "a/c.dcm"]


# --- leftovers -------------------------------------------------------------------------------

RECEIVING = """
import sys
from dicom_actors import EndpointConfig
from dicom_actors.actors.storing.storage import Storage
from dicom_actors.supervision import LogService
storage = Storage(EndpointConfig(spool_directory=sys.argv[1], spool_bytes=0), LogService())
storage.folders.root(sys.argv[1])
receivers = [storage.receiver(b"head") for _ in range(2)]
for receiver in receivers:
    receiver.write(b"data")
    receiver.flush()
finished = receivers[0].finish()
print("ready", flush=True)
sys.stdin.readline()
print(storage.save(finished, sys.argv[1], sys.argv[2]), flush=True)
sys.stdin.readline()
"""


def receiving(folder: Path, name: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", RECEIVING, str(folder), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@BOTH
def test_what_a_killed_process_left_is_removed_and_nothing_of_one_that_lives(
    by_path: bool, tmp_path: Path
) -> None:
    with receiving(tmp_path, "killed.dcm") as killed, receiving(tmp_path, "alive.dcm") as alive:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        left = set(names(tmp_path))
        assert len(left) == 4
        storage = make(tmp_path, by_path=by_path)
        storage.save(received(storage), tmp_path, "new.dcm")
        assert len(names(tmp_path)) == 3  # two that are being received, and the new one
        assert left > set(names(tmp_path)) - {"new.dcm"}
        assert alive.stdin is not None
        assert alive.stdout is not None
        alive.stdin.write("\n")
        alive.stdin.flush()
        assert alive.stdout.readline() == f"{tmp_path / 'alive.dcm'}\n"
        assert (tmp_path / "alive.dcm").read_bytes() == b"headdata"
        alive.communicate("\n")
        make(tmp_path).folders.root(str(tmp_path))
        assert names(tmp_path) == ["alive.dcm", "new.dcm"]


FORKING = """
import os, sys
from dicom_actors import EndpointConfig
from dicom_actors.actors.storing.storage import Storage
from dicom_actors.supervision import LogService
storage = Storage(EndpointConfig(spool_directory=sys.argv[1], spool_bytes=0), LogService())
receiver = storage.receiver(b"head")
receiver.write(b"data")
received = receiver.finish()
child = os.fork()
if not child:
    del receiver, received  # as the interpreter does in the end
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
another = Storage(EndpointConfig(spool_directory=sys.argv[1]), LogService())
another.folders.root(sys.argv[1])
print(storage.save(received, sys.argv[1], "a.dcm").read_bytes())
"""


def test_a_process_that_was_forked_takes_nothing_away(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FORKING, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert run.stdout == "b'headdata'\n"
    assert names(tmp_path) == ["a.dcm"]


def test_two_endpoints_of_one_process_leave_each_other_alone(tmp_path: Path) -> None:
    first = make(tmp_path)
    one = received(first, "spool")
    second = make(tmp_path)
    second.save(received(second), tmp_path, "b.dcm")
    assert first.save(one, tmp_path, "a.dcm").read_bytes() == b"headdata"


def test_nothing_is_removed_that_is_not_ours(tmp_path: Path) -> None:
    name = next(part_file.part_names())
    stranger = [".dicom-actors-1234.part", f"{name}x", f"x{name}", "x.part", name.upper()]
    for text in stranger:
        (tmp_path / text).write_bytes(b"")
    ours = [next(part_file.part_names()) for _ in range(5)]
    (tmp_path / ours[0]).mkdir()
    os.mkfifo(tmp_path / ours[1])
    (tmp_path / ours[2]).symlink_to(tmp_path / "x.part")
    (tmp_path / ours[3]).write_bytes(b"")
    os.link(tmp_path / ours[3], tmp_path / "second name")
    (tmp_path / ours[4]).write_bytes(b"")
    storage = make(tmp_path)
    storage.save(received(storage), tmp_path, "b.dcm")
    assert {p.name for p in tmp_path.iterdir()} == {*stranger, *ours[:4], "second name", "b.dcm"}


def test_a_file_that_is_taken_for_a_leftover_while_it_is_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment between open(2) and flock(2), with another one that removes leftovers in it."""
    storage = make()
    directory = storage.folders.root(str(tmp_path))
    real = directory.open_file
    races = ["before", "while"]
    held = []

    def open_file(self: Any, name: str, flags: int, mode: int = 0o666) -> int:
        descriptor = real(name, flags, mode)
        if flags & os.O_CREAT and races:
            if races.pop(0) == "before":
                part_file.remove_leftovers(directory)
            else:
                held.append(os.open(tmp_path / name, os.O_RDWR))
                fcntl.flock(held[0], fcntl.LOCK_EX)
                os.unlink(tmp_path / name)
        return descriptor

    monkeypatch.setattr(type(directory), "open_file", open_file)
    for number in (1, 2):
        storage.save(received(storage), tmp_path, f"{number}.dcm")
    os.close(held[0])
    assert races == []
    assert names(tmp_path) == ["1.dcm", "2.dcm"]


# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("uid", ["1.2.840.10008.1", "2.25.1", "0.0"])
def test_a_valid_uid_is_its_own_name(uid: str) -> None:
    assert file_name_for(uid) == uid


@pytest.mark.parametrize(
    "uid",
    [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "1.2\0",
        "1.2/3",
        "CON",
        "1..2",
        "1." * 40,
        "1.2\\3",
        "1.02",
        "\udcff",
        "é",
    ],
)
def test_anything_else_becomes_a_hash(uid: str) -> None:
    name = file_name_for(uid)
    assert name.startswith("uid-")
    assert len(name) == 68
    assert name == file_name_for(uid)
    assert Path(name).name == name


def test_texts_that_differ_get_names_that_differ() -> None:
    assert len({file_name_for(uid) for uid in ("../a", "../A", "../b", "")}) == 4


# --- threads that are stuck ------------------------------------------------------------------


def test_what_is_discarded_while_it_is_being_saved_is_removed_by_whoever_saves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, real = Gate(), os.fsync
    storage = make(tmp_path)
    one = received(storage, "spool")
    storage.folders.root(str(tmp_path))
    storage.folders.mode_of_files(str(tmp_path))
    descriptor = one.file.descriptor

    def fsync(number: int) -> None:
        if number == descriptor:
            gate()
        real(number)

    def refuse() -> None:
        raise RuntimeError("nobody waits for it")

    monkeypatch.setattr(os, "fsync", fsync)
    caught = []

    def save() -> None:
        with pytest.raises(RuntimeError) as error:
            storage.save(one, tmp_path, "b.dcm", refuse)
        caught.append(error)

    stuck = threading.Thread(target=save)
    stuck.start()
    gate.wait_until_entered()
    one.discard()
    one.abandon()
    assert os.fstat(descriptor).st_nlink == 1  # it is open, and its number is nobody else's
    gate.release()
    stuck.join()
    assert len(caught) == 1
    assert names(tmp_path) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_to_abandon_does_not_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, real = Gate(), os.unlink
    storage = make(tmp_path)
    some = [received(storage, "spool") for _ in range(3)]

    def unlink(*arguments: Any, **more: Any) -> None:
        gate()
        real(*arguments, **more)

    monkeypatch.setattr(os, "unlink", unlink)
    for one in some:
        one.abandon()
    gate.wait_until_entered()
    assert len(names(tmp_path)) == 3
    gate.release()
    until(lambda: storage.disk.used == 0)
    assert names(tmp_path) == []


@BOTH
def test_an_object_that_is_discarded_cannot_be_saved(by_path: bool, tmp_path: Path) -> None:
    storage = make(tmp_path, by_path=by_path)
    one = received(storage, "spool")
    one.discard()
    with pytest.raises(OSError, match="discarded"):
        storage.save(one, tmp_path, "b.dcm")
    with pytest.raises(OSError, match="discarded"):
        assert one.data
    assert names(tmp_path) == []


def test_a_folder_that_is_no_text_costs_its_request_alone(tmp_path: Path) -> None:
    handlers = {"cstore": lambda event: event.save(os.fsencode(tmp_path))}
    with running(handlers) as endpoint, Peer.associated(endpoint.port) as peer:
        for _ in range(20):
            assert peer.store(b"") == 0x0110
        gc.collect()
        assert len(open_below(tmp_path)) <= 2
        assert endpoint.status().restarts == 0
