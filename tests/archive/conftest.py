"""Tests of archives are run on an index in the folder; those named here on PostgreSQL as well.

All others are, too, if the environment variable DICOM_ACTORS_TEST_INDEX is ``postgresql``, but
those that are about what is in the folder. Those that open an index without an archive ask
`index_place`, or are run on both by the fixtures `new_index` and `new_place`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from kit.index_places import InFolder, OnServer

from dicom_actors.archive import Archive
from dicom_actors.archive.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Iterator

ON_BOTH = {"test_archive", "test_maintenance", "test_study_evidence"}
"""Modules all of whose tests, but those that are marked, are run on both."""
if os.environ.get("DICOM_ACTORS_TEST_INDEX") == "postgresql":
    ON_BOTH |= {
        "test_buckets",
        "test_commitment",
        "test_crashes",
        "test_cstore",
        "test_folder_gone",
        "test_frames",
        "test_healing",
        "test_json_answers",
        "test_links",
        "test_power_cut",
        "test_query_retrieve",
        "test_serving",
        "test_study_watch",
        "test_synchronizing",
    }
LEASE = 0.5


@pytest.fixture(autouse=True)
def index_place(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InFolder | OnServer]:
    """Have archives that are opened without an index have theirs where the test is to be run."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield InFolder()
        return
    place = OnServer(request.getfixturevalue("postgresql"))
    open_plainly: Any = Archive.open
    visit_plainly: Any = Visit.__init__

    def opened(_: type[Archive], folder: Any, **settings: Any) -> Archive:
        if "index" not in settings:
            settings["index"] = place.address(folder)
        archive: Archive = open_plainly(folder, **{"node_lease_seconds": LEASE, **settings})
        return archive

    def visit(self: Visit, folder: Any, *arguments: Any, **settings: Any) -> None:
        if place.knows(folder):
            settings.setdefault("index", place.address(folder))
        visit_plainly(self, folder, *arguments, **settings)

    monkeypatch.setattr(Archive, "open", classmethod(opened))
    monkeypatch.setattr(Visit, "__init__", visit)
    yield place
    place.lose_all()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test in both places."""
    name = metafunc.module.__name__.rpartition(".")[2]
    is_marked = any(metafunc.definition.iter_markers("index_in_folder"))
    if name in ON_BOTH and not is_marked:
        metafunc.parametrize("index_place", ["sqlite", "postgresql"], indirect=True)
