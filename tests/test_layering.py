"""The layers of the package: who may import whom. Read from the sources, without importing them.

One way down::

    errors, config < data, pdu < upper_layer < dimse
    data < pixels, deidentification < archive, cli
    pixels < scu
    dimse, transport < storage < scu < actors < archive < flow, engine, web, testing < cli

``data`` and ``pdu`` do not see each other; ``supervision`` sees none of the others, and only
``actors`` and what is above it see ``supervision``; ``tls`` is for ``config`` and for ``actors``
and what is above it; ``archive``, ``flow`` and ``web`` use the public interface alone, supervision
included, and so does ``metrics``, which stands between ``archive`` and ``cli`` and knows the
statuses of ``dimse``; the six pure layers do without sockets, selectors, threads, queues, clocks
and pykka. Imports for type checkers and imports inside functions count like all others.

Within ``data`` one way down through its rooms::

    dictionary < values, scan < dataset < files < forms, query

and no module of the whole package leads back to itself, not even for type checkers.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "dicom_actors"

_BELOW_DIMSE = {"errors", "config", "version", "data", "pdu", "upper_layer"}
_BELOW_ARCHIVE = {
    *_BELOW_DIMSE,
    "tls",
    "dimse",
    "supervision",
    "actors",
    "transport",
    "storage",
    "scu",
    "messages",
    "events",
}
_PUBLIC = {"", "errors", "tls", "config", "messages", "events", "version"}

# What each module or package directly below `dicom_actors` may import of the others; "" is
# `dicom_actors` itself, which has the public names.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "version": set(),
    "tls": {"errors"},
    "config": {"errors", "tls"},
    "data": {"errors", "config", "version"},
    "indexing": {"errors", "data"},
    "pixels": {"errors", "data"},
    "codec_process": {"errors", "pixels", "processes"},
    "deidentification": {"errors", "data"},
    "pdu": {"errors", "config", "version"},
    "upper_layer": _BELOW_DIMSE,
    "dimse": _BELOW_DIMSE,
    "supervision": set(),
    "messages": _BELOW_ARCHIVE,
    "events": _BELOW_ARCHIVE,
    "actors": _BELOW_ARCHIVE,
    "transport": set(),
    # Its lower half, which starts processes, needs the first two alone.
    "processes": {"errors", "supervision", "data", "actors", "messages"},
    "storage": {*_BELOW_DIMSE, "dimse"},
    "scu": {*_BELOW_DIMSE, "pixels", "tls", "dimse", "transport", "storage"},
    "archive": {*_PUBLIC, "supervision", "scu"},
    "flow": {
        *_PUBLIC,
        "supervision",
        "processes",
        "scu",
        "web_user",
        "archive",
        "pixels",
        "deidentification",
    },
    "web_user": {"errors", "config", "data", "storage", "web"},
    "engine": {*_PUBLIC, "supervision", "archive"},
    "web": {*_PUBLIC, "supervision", "archive", "pixels", "deidentification"},
    "metrics": {*_PUBLIC, "supervision", "dimse", "archive"},
    "testing": {*_BELOW_ARCHIVE, "archive", ""},
    "cli": {
        *_BELOW_ARCHIVE,
        "deidentification",
        "archive",
        "flow",
        "engine",
        "web",
        "web_user",
        "metrics",
        "codec_process",
        "pixels",
        "processes",
        "testing",
        "",
    },
    "__main__": {"cli"},
}
PURE = {"data", "deidentification", "pixels", "pdu", "upper_layer", "dimse"}
# Sockets, selectors, threads, queues and clocks; what brings them along; and pykka.
IMPURE = {
    "_thread",
    "asyncio",
    "concurrent",
    "http",
    "multiprocessing",
    "pykka",
    "queue",
    "sched",
    "select",
    "selectors",
    "signal",
    "socket",
    "socketserver",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "urllib",
}
# What our tests use and judge by; and the modules whose purpose is one of them.
NEVER = {"hypothesis", "pydicom", "pynetdicom", "pytest"}
EXEMPT = {
    ("dicom_actors.data.forms.pydicom_bridge", "pydicom"),
    ("dicom_actors.testing.pytest_plugin", "pytest"),
}


def imports_of(name: str, source: str, *, is_package: bool) -> list[tuple[int, str, str]]:
    """Return (line, module, name imported from it or "") for each import in a source."""
    found = []
    parents = name.split(".") if is_package else name.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                base = parents[: len(parents) - node.level + 1]
                module = ".".join([*base, module] if module else base)
            found += [(node.lineno, module, alias.name) for alias in node.names]
    return found


def unit_of(module: str, imported: str) -> str:
    """Return which part of the package an import is from; "" is the package itself."""
    parts = module.split(".")
    if len(parts) > 1:
        return parts[1]
    return imported if imported in MAY_IMPORT else ""


def violations(sources: dict[str, str], packages: set[str]) -> list[str]:
    """Return what breaks the rules.

    Args:
        sources: the text of each module, by its dotted name.
        packages: those of the names that are packages (an ``__init__.py``).
    """
    found = []
    for name, source in sorted(sources.items()):
        unit = name.split(".")[1] if "." in name else ""
        if unit and unit not in MAY_IMPORT:
            found.append(f"{name}: {unit} has no place in the layers")
            continue
        for line, module, imported in imports_of(name, source, is_package=name in packages):
            top = module.split(".")[0]
            where = f"{name}, line {line}"
            if top in NEVER and (name, top) not in EXEMPT:
                found.append(f"{where}: the package must not import {top}")
            if unit in PURE and top in IMPURE:
                found.append(f"{where}: {unit} must not import {top}")
            if top == PACKAGE and unit:
                other = unit_of(module, imported)
                if other != unit and other not in MAY_IMPORT[unit]:
                    found.append(f"{where}: {unit} must not import {other or PACKAGE}")
    return found


def read_package() -> tuple[dict[str, str], set[str]]:
    sources, packages = {}, set()
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        sources[name] = path.read_text("utf-8")
        if is_package:
            packages.add(name)
    return sources, packages


def test_the_package_keeps_to_its_layers():
    sources, packages = read_package()

    assert {"dicom_actors", "dicom_actors.errors", "dicom_actors.pdu"} <= set(sources)
    assert violations(sources, packages) == []


# --- the rooms of data -------------------------------------------------------------------------

DATA = f"{PACKAGE}.data"
_BELOW_FILES = {"dictionary", "values", "scan", "dataset"}
# What each room may import of the others.
ROOMS: dict[str, set[str]] = {
    "dictionary": set(),
    "values": {"dictionary"},
    "scan": {"dictionary"},
    "dataset": {"dictionary", "values", "scan"},
    "files": _BELOW_FILES,
    "forms": {*_BELOW_FILES, "files"},
    "query": {*_BELOW_FILES, "files"},
}
# A data set says what it returns: for type checkers alone.
UP_FOR_TYPES = {(f"{DATA}.dataset.data_set", f"{DATA}.forms.frames")}
# Who loads modules by name, and which: the door what is seldom used, a data set its other forms.
BY_NAME = {DATA, f"{DATA}.dataset.data_set"}
FORMS_BY_NAME = {"frames", "json", "text"}


def arrows(sources: dict[str, str], packages: set[str]) -> set[tuple[str, str]]:
    """Return who imports whom, of modules of ours; all imports count."""
    found = set()
    for name, source in sources.items():
        for _, module, imported in imports_of(name, source, is_package=name in packages):
            whole = f"{module}.{imported}"
            found.add((name, whole if whole in sources else module))
    return {(one, other) for one, other in found if other in sources and one != other}


def wrong_ways(sources: dict[str, str], packages: set[str]) -> list[str]:
    """Return the arrows that do not go down through the rooms of data."""
    found = []
    for one, other in sorted(arrows(sources, packages)):
        room, target = (name.removeprefix(DATA).lstrip(".").split(".")[0] for name in (one, other))
        if not one.startswith(f"{DATA}.") or not f"{other}.".startswith(f"{DATA}."):
            continue
        if room not in ROOMS:
            found.append(f"{one} is in no room")
        elif target not in {room, *ROOMS[room]} and (one, other) not in UP_FOR_TYPES:
            found.append(f"{one} must not import {other}")
    return found


def circles(links: set[tuple[str, str]]) -> list[str]:
    """Return the modules that lead back to themselves: what is left without its dead ends."""
    left = {name for link in links for name in link}
    while True:
        inner = {(one, other) for one, other in links if {one, other} <= left}
        kept = {one for one, _ in inner} & {other for _, other in inner}
        if kept == left:
            return sorted(left)
        left = kept


def test_data_goes_one_way_through_its_rooms():
    sources, packages = read_package()

    assert {f"{DATA}.{room}" for room in ROOMS} <= packages
    assert wrong_ways(sources, packages) == []


def test_no_module_leads_back_to_itself():
    sources, packages = read_package()
    links = arrows(sources, packages)

    assert len(links) > 1000
    assert circles(links) == []


ACTORS = "dicom_actors.actors"
ROOMS_OF_ACTORS = (
    "storing",
    "connection",
    "kernel",
    "responding",
    "handlers",
    "association",
    "endpoint",
)
"""From the lowest."""


def test_actors_go_one_way_through_their_rooms():
    sources, packages = read_package()
    assert {f"{ACTORS}.{room}" for room in ROOMS_OF_ACTORS} <= packages
    for one, other in arrows(sources, packages):
        if one.startswith(f"{ACTORS}.") and other.startswith(f"{ACTORS}."):
            above, below = (ROOMS_OF_ACTORS.index(name.split(".")[2]) for name in (one, other))
            assert below <= above, (one, other)


def test_what_is_loaded_by_name_is_no_way_around_the_rooms():
    sources, packages = read_package()
    loaders = {
        name
        for name, source in sources.items()
        if name.startswith(DATA)
        and any(
            "importlib" in module
            for _, module, _ in imports_of(name, source, is_package=name in packages)
        )
    }
    asked = [
        node.args[0]
        for node in ast.walk(ast.parse(sources[f"{DATA}.dataset.data_set"]))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_above"
    ]

    assert loaders == BY_NAME
    assert {ast.literal_eval(name) for name in asked} == FORMS_BY_NAME


@pytest.mark.parametrize(
    ("name", "source", "found"),
    [
        ("scan.x", "from dicom_actors.data.dictionary import Tag", []),
        ("scan.x", "from dicom_actors.data.values import codec", ["scan.x", "values.codec"]),
        ("values.x", "import dicom_actors.data.scan", ["values.x", "scan"]),
        ("dataset.x", "from ..forms import json", ["dataset.x", "forms.json"]),
        (
            "dictionary.x",
            "def f():\n    from dicom_actors.data.dataset import y",
            ["dictionary.x", "dataset"],
        ),
        ("query.x", "from dicom_actors.data.forms import json", ["query.x", "forms.json"]),
        ("scan.x", "from dicom_actors.data import DataSet", ["scan.x", ""]),
        ("attic", "from dicom_actors.data.dictionary import Tag", ["attic"]),
        ("attic.x", "from dicom_actors.data.dictionary import Tag", ["attic.x"]),
    ],
)
def test_a_way_up_is_found(name, source, found):
    there = {DATA: "", **{f"{DATA}.{room}": "" for room in ROOMS}}
    there |= {f"{DATA}.values.codec": "", f"{DATA}.forms.json": ""}
    sources = {**there, f"{DATA}.{name}": source}
    paths = [f"{DATA}.{part}".rstrip(".") for part in found]
    expected = [" must not import ".join(paths)] if len(paths) > 1 else paths
    if len(paths) == 1:
        expected = [f"{paths[0]} is in no room"]

    assert wrong_ways(sources, set(there)) == expected


def test_a_circle_is_found():
    links = {("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("e", "a")}

    assert circles(links) == ["b", "c"]
    assert circles(links - {("c", "b")}) == []


# --- the checker itself -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (
            "dicom_actors.data.dictionary.tag",
            "import struct\nfrom dicom_actors.errors import DecodeError",
        ),
        ("dicom_actors.pdu.decoder", "from dicom_actors.pdu.header import decode_header"),
        ("dicom_actors.pdu.decoder", "from .header import decode_header"),
        ("dicom_actors.pdu", "from . import header\nfrom .header import decode_header"),
        ("dicom_actors.upper_layer.machine", "from dicom_actors import pdu, errors"),
        ("dicom_actors.dimse.x", "from ..upper_layer import UpperLayer\nimport dicom_actors.data"),
        ("dicom_actors.supervision.inbox", "import selectors, threading, pykka, time"),
        (
            "dicom_actors.actors.endpoint.endpoint",
            "from dicom_actors.supervision import Supervisor",
        ),
        ("dicom_actors.actors.mover", "from dicom_actors.scu import connect"),
        ("dicom_actors.archive.store", "from dicom_actors import DataSet, messages, errors"),
        ("dicom_actors.testing.peer", "from dicom_actors import connect\nimport socket"),
        ("dicom_actors.cli.main", "from dicom_actors.testing import FaultyProxy"),
        ("dicom_actors", "from dicom_actors.actors import Endpoint"),
        ("dicom_actors.data.forms.pydicom_bridge", "import pydicom"),
        ("dicom_actors.__main__", "from dicom_actors.cli.main import main"),
    ],
)
def test_good_imports(name, source):
    assert violations({name: source}, {"dicom_actors", "dicom_actors.pdu"}) == []


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("errors", "import dicom_actors.config", "errors must not import config"),
        ("config", "from dicom_actors.data import DataSet", "config must not import data"),
        ("data.tag", "from dicom_actors.pdu import Pdv", "data must not import pdu"),
        (
            "pdu.items",
            "from dicom_actors.data.dictionary.tag import Tag",
            "pdu must not import data",
        ),
        ("pdu.items", "from ..data import tag", "pdu must not import data"),
        ("pdu.items", "from .. import data", "pdu must not import data"),
        ("pdu.items", "from dicom_actors import data", "pdu must not import data"),
        ("pdu.items", "from dicom_actors import Endpoint", "pdu must not import dicom_actors"),
        ("pdu.items", "import dicom_actors", "pdu must not import dicom_actors"),
        ("dimse.x", "from dicom_actors.tls import x", "dimse must not import tls"),
        ("pdu.x", "from dicom_actors.upper_layer import x", "pdu must not import upper_layer"),
        ("upper_layer.x", "import dicom_actors.dimse.x", "upper_layer must not import dimse"),
        ("dimse.x", "from dicom_actors.actors import x", "dimse must not import actors"),
        ("dimse.x", "from dicom_actors import messages", "dimse must not import messages"),
        ("dimse.x", "from dicom_actors.supervision import x", "dimse must not import supervision"),
        ("supervision.x", "from dicom_actors.data import x", "supervision must not import data"),
        (
            "supervision.x",
            "from dicom_actors.errors import x",
            "supervision must not import errors",
        ),
        ("actors.x", "from dicom_actors.cli import x", "actors must not import cli"),
        ("actors.x", "from dicom_actors.testing import x", "actors must not import testing"),
        ("scu.x", "from dicom_actors.archive import x", "scu must not import archive"),
        ("archive.x", "from dicom_actors.actors import x", "archive must not import actors"),
        ("archive.x", "from dicom_actors.data import x", "archive must not import data"),
        ("testing.x", "from dicom_actors.cli import x", "testing must not import cli"),
        ("__main__", "from dicom_actors.actors import x", "__main__ must not import actors"),
        ("brand_new", "", "brand_new has no place in the layers"),
        ("brand_new.x", "import os", "brand_new has no place in the layers"),
        ("cli.main", "import pydicom.dataset", "the package must not import pydicom"),
        ("data.pydicom_bridge", "import pynetdicom", "the package must not import pynetdicom"),
        ("testing.x", "from pynetdicom import AE", "the package must not import pynetdicom"),
        *[
            (f"{layer}.x", f"import {module}", f"{layer} must not import {module}")
            for layer in sorted(PURE)
            for module in ("socket", "selectors", "select", "threading", "queue", "time", "pykka")
        ],
        ("data.x", "from time import monotonic", "data must not import time"),
        ("data.x", "from concurrent.futures import Future", "data must not import concurrent"),
        ("dimse.x", "import os, socket as s", "dimse must not import socket"),
        ("pdu.x", "def f():\n    import threading", "pdu must not import threading"),
        (
            "pdu.x",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import socket",
            "pdu must not import socket",
        ),
        ("pdu.x", "try:\n    import time\nexcept ImportError:\n    pass", "must not import time"),
    ],
)
def test_bad_imports(name, source, message):
    (found,) = violations({f"dicom_actors.{name}": source}, set())

    assert message in found
    assert found.startswith(f"dicom_actors.{name}")


def test_a_bad_import_is_found_at_its_line():
    source = "import struct\n\n\ndef f():\n    from dicom_actors.cli import main\n"

    assert violations({"dicom_actors.dimse.deep.x": source}, set()) == [
        "dicom_actors.dimse.deep.x, line 5: dimse must not import cli"
    ]


def test_relative_imports_in_a_package_count_from_the_package():
    source = "from .x import y\nfrom ..data import z"

    assert violations({"dicom_actors.pdu": source}, {"dicom_actors.pdu"}) == [
        "dicom_actors.pdu, line 2: pdu must not import data"
    ]


def test_the_layers_are_one_way():
    # Within a tier packages may see each other; nothing imports what may import it from above.
    same_tier = [{"actors", "scu", "messages", "events"}]
    for unit, others in MAY_IMPORT.items():
        for other in others - {"", unit}:
            if not any({unit, other} <= tier for tier in same_tier):
                assert unit not in MAY_IMPORT[other], f"{unit} and {other} may import each other"
