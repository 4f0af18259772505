"""Tests of archives are run on an index in the folder; those named here on PostgreSQL as well."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dicom_actors.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Iterator

ON_BOTH = {"test_archive", "test_study_evidence"}
"""Modules all of whose tests, but those that are marked, are run on both."""
if os.environ.get("DICOM_ACTORS_TEST_INDEX") == "postgresql":  # which takes a minute more
    ON_BOTH |= {"test_cstore", "test_frames"}
LEASE = 0.5


@pytest.fixture(autouse=True)
def index_place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have archives that are opened without an index have theirs where the test is to be run."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield
        return
    server = request.getfixturevalue("postgresql")
    addresses: dict[Path, str] = {}
    plainly: Any = Archive.open

    def opened(_: type[Archive], folder: Any, **settings: Any) -> Archive:
        place = Path(folder).resolve()
        if place not in addresses:
            addresses[place] = server.new_database()
        archive: Archive = plainly(
            folder, **{"node_lease_seconds": LEASE, "index": addresses[place], **settings}
        )
        return archive

    monkeypatch.setattr(Archive, "open", classmethod(opened))
    yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test in both places."""
    name = metafunc.module.__name__.rpartition(".")[2]
    is_marked = any(metafunc.definition.iter_markers("index_in_folder"))
    if name in ON_BOTH and not is_marked:
        metafunc.parametrize("index_place", ["sqlite", "postgresql"], indirect=True)
