"""Reasons, replies, and what pykka's names are used."""

from __future__ import annotations

import ast
import queue
import weakref
from pathlib import Path

import pykka
import pytest
from pykka import Actor, ActorRef, ThreadingActor
from supervision.kit import raise_error

import dicom_actors.supervision as package
from dicom_actors.supervision import (
    ActorCrashed,
    CallTimeout,
    ExitReason,
    Reply,
    Stop,
    SupervisedActor,
)

PINNED = {
    "_create_actor_inbox",
    "_create_future",
    "_actor_ref",
    "_start_actor_loop",
    "_actor_loop",
}
"""pykka's private names that `SupervisedActor` replaces."""


def test_reasons():
    assert ExitReason.of(ExitReason.NORMAL) is ExitReason.NORMAL
    assert ExitReason.of("x") == ExitReason.error("x") != ExitReason.error("y")
    assert ExitReason.NORMAL != ExitReason.SHUTDOWN
    assert ExitReason.NORMAL != "normal"
    assert len({ExitReason.shutdown(1), ExitReason.shutdown(1), ExitReason.shutdown(2)}) == 2
    assert [r.is_normal for r in (ExitReason.NORMAL, ExitReason.SHUTDOWN)] == [True, True]
    assert ExitReason.shutdown("detail").is_normal
    assert not any(
        r.is_normal for r in (ExitReason.KILLED, ExitReason.NOPROC, ExitReason.error("x"))
    )
    assert str(ExitReason.KILLED) == "killed"
    assert str(ExitReason.shutdown("detail")) == "shutdown: detail"
    assert str(ExitReason.error(ValueError("secret"))) == "error: ValueError"
    assert repr(ExitReason.KILLED) == "ExitReason('killed', None)"
    assert Stop().reason == ExitReason.NORMAL
    with pytest.raises(AttributeError):
        ExitReason.NORMAL.kind = "error"


def test_a_reason_keeps_no_frames():
    def chain():
        try:
            raise_error()
        except ValueError as error:
            raise RuntimeError("outer") from error

    with pytest.raises(RuntimeError) as caught:
        chain()
    reason = ExitReason.error(caught.value)
    assert reason.exception is caught.value
    assert reason.exception.__traceback__ is None
    assert reason.exception.__cause__.__traceback__ is None


def test_a_reply_keeps_no_frames_but_can_be_had_twice():
    class DataSet:
        pass

    def fail():
        data_set = DataSet()
        freed.append(weakref.ref(data_set))
        raise_error()

    freed = []
    reply = Reply()
    try:
        fail()
    except ValueError:
        reply.set_exception()
    assert freed[0]() is None
    for _ in range(2):
        with pytest.raises(ValueError, match="on purpose"):
            reply.get(timeout=0)
    with pytest.raises(CallTimeout):
        Reply().get(timeout=0)
    empty = Reply()
    empty.set_exception()
    with pytest.raises(RuntimeError):
        empty.get(timeout=0)


def test_pykka_derives_futures_from_replies():
    reply, other = Reply(), Reply()
    mapped = reply.map(lambda value: value + 1)
    joined = reply.join(other)
    with pytest.raises(queue.Full):
        mapped.set_get_hook(None)
    reply.set(1)
    other.set(2)
    assert mapped.get(timeout=0) == 2
    assert joined.get(timeout=0) == [1, 2]
    assert pykka.get_all([reply, other], timeout=0) == [1, 2]


def test_a_crash_names_its_cause():
    cause = ValueError("on purpose")
    crash = ActorCrashed("text", ExitReason.error(cause))
    assert crash.__cause__ is cause
    assert ActorCrashed("text", ExitReason.KILLED).__cause__ is None


# --- pykka's private names -----------------------------------------------------------------


def test_pykka_still_has_the_names_that_are_replaced():
    for name in PINNED - {"_actor_ref"}:
        assert callable(getattr(ThreadingActor, name))
        assert name in vars(SupervisedActor)
    source = Path(pykka.__path__[0], "_actor.py").read_text(encoding="utf-8")
    assert "self._actor_ref = ActorRef(self)" in source
    assert "self.actor_inbox = self._create_actor_inbox()" in source
    assert "target=self._actor_loop" in Path(pykka.__path__[0], "_threading.py").read_text(
        encoding="utf-8"
    )
    assert {"tell", "ask", "stop", "is_alive"} <= set(vars(ActorRef))


def private_names_of_pykka():
    names = set()
    for path in Path(pykka.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def test_only_the_actor_module_touches_pykkas_private_names():
    private = private_names_of_pykka()
    assert private >= PINNED
    # names that ours share by chance, on objects of our own
    by_chance = {"_condition", "_result", "_stop", "_lock"}
    for path in Path(package.__path__[0]).glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        used |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        allowed = PINNED | by_chance if path.name == "actor.py" else by_chance
        assert used & private <= allowed, path.name
        imports = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not any(module.startswith("pykka.") for module in imports), path.name


def test_the_package_knows_nothing_of_dicom():
    for path in Path(package.__path__[0]).glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dicom_actors"):
                assert node.module.startswith("dicom_actors.supervision"), path.name


def test_the_interface_of_pykkas_actor_is_whole():
    public = {name for name in vars(Actor) if not name.startswith("_")}
    assert public <= set(dir(SupervisedActor))


def imports_of(path):
    """The modules of the package that one of them imports, for type checkers included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    prefix = f"{package.__name__}."
    return {module.removeprefix(prefix) for module in modules if module.startswith(prefix)}


def test_no_module_imports_one_that_needs_it():
    paths = [path for path in Path(package.__path__[0]).glob("*.py") if path.stem != "__init__"]
    left = {path.stem: imports_of(path) for path in paths}
    while lowest := {name for name, needs in left.items() if not needs & left.keys()}:
        left = {name: needs for name, needs in left.items() if name not in lowest}
    assert left == {}
