"""An archive whose objects are in a bucket: what is kept where, outages, and upkeep."""

from __future__ import annotations

import io
import logging
import threading
import tracemalloc

import pytest
from kit.archive_objects import abandon, make_file, uid_of
from kit.object_store import BUCKET, SECRET, object_store

from dicom_actors import DataSet, read_file, write_file
from dicom_actors.archive import Archive
from dicom_actors.archive.files import Location
from dicom_actors.archive.index import Result
from dicom_actors.archive.maintenance import backup, reindex, verify
from dicom_actors.archive.upkeep import describe_at
from dicom_actors.archive.visit import Visit
from dicom_actors.errors import ArchiveError, ConfigurationError

URL = f"s3://{BUCKET}/site-a"


@pytest.fixture
def bucket(monkeypatch):
    with object_store(monkeypatch) as fake:
        yield fake


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archive"


def opened(folder, **settings):
    return Archive.open(folder, **{"bucket": URL, "bucket_timeout": 5.0, **settings})


def locations(archive):
    return [found.location for found in archive.instances()]


@pytest.mark.parametrize("size", [64, 300_000, 20_000_000])
def test_what_is_kept_is_in_the_bucket_before_it_is_acknowledged(bucket, folder, size):
    data = make_file(1, size=size)
    with opened(folder) as archive:
        assert archive.add(data).result is Result.NEW
        (key,) = bucket.objects
        assert key.startswith("site-a/1.2.1/1.2.1.1/1.2.1.1.1-")
        assert bucket.objects[key] == data
        assert bytes(archive.read(archive.find_instance(uid_of(1)))) == data
        assert archive.stats().journal_bytes == archive.stats().incoming_files == 0
    assert ("PART" in bucket.calls) == (size > 8 * 1024 * 1024)
    assert bucket.uploads == {}


@pytest.mark.parametrize("cache_bytes", [0, 1 << 20, 1 << 30])
def test_a_large_object_is_described_and_opened_without_being_in_memory(
    bucket, folder, cache_bytes
):
    data = make_file(1, size=40_000_000)
    with opened(folder, cache_bytes=cache_bytes) as archive:
        archive.add(data)
        (instance,) = archive.instances()
        location = Location.of(instance.location)
        tracemalloc.start()
        try:
            described = describe_at(archive.store, location)
            for _ in range(2):
                file = archive.open_bytes(instance)
                assert sum(map(len, file.chunks())) == len(data)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert bytes(file) == data
    assert most < 12_000_000, most
    assert described.checksum == instance.checksum


def test_it_can_also_be_brought_there_afterwards(bucket, folder):
    files = [make_file(number, size=100_000 * number) for number in range(1, 6)]
    with opened(folder, upload="after") as archive:
        for data in files:
            archive.add(data)
        archive.settle()
        assert sorted(bucket.objects.values()) == sorted(files)
        assert all(location.startswith("@b") for location in locations(archive))
        assert archive.stats().incoming_files == archive.stats().journal_bytes == 0


@pytest.mark.parametrize("fault", ["error", "refused", "cut"])
def test_an_outage_refuses_what_comes_and_costs_nothing_that_was_kept(
    bucket, folder, fault, caplog
):
    caplog.set_level(logging.DEBUG)
    with opened(folder) as archive:
        archive.add(make_file(1))
    with opened(folder, bucket_timeout=0.5) as archive:
        bucket.fault = lambda kind, key: fault
        with pytest.raises(OSError, match="object store") as caught:
            archive.add(make_file(2))
        with pytest.raises(OSError, match="object store"):
            archive.read(archive.find_instance(uid_of(1)))
    bucket.fault = lambda kind, key: None
    with opened(folder) as archive:
        assert archive.add(make_file(2)).result is Result.NEW
        assert bytes(archive.read(archive.find_instance(uid_of(1)))) == make_file(1)
    assert SECRET not in str(caught.value) + caplog.text


def test_an_answer_that_is_lost_is_no_second_object(bucket, folder):
    lost = iter(["lost"])
    bucket.fault = lambda kind, key: next(lost, None) if kind == "PUT" else None
    with opened(folder) as archive:
        archive.add(make_file(1))
        assert len(bucket.objects) == 1
        assert bucket.calls["PUT"] == 2


def test_while_the_bucket_is_away_what_comes_waits_on_the_disk(bucket, folder):
    with opened(folder, upload="after", bucket_timeout=0.3) as archive:
        bucket.fault = lambda kind, key: "error"
        archive.add(make_file(1))
        archive.add(make_file(2, size=300_000))
        with pytest.raises(ArchiveError, match="object store"):
            archive.settle()
        assert bytes(archive.read(archive.find_instance(uid_of(1)))) == make_file(1)
    bucket.fault = lambda kind, key: None
    with opened(folder, upload="after") as archive:
        archive.settle()
        assert len(bucket.objects) == 2


def test_a_frame_is_read_by_a_range(bucket, folder):
    ds = read_file(make_file(1))
    ds.put("PixelData", "OB", bytes(range(200)) * 5)
    for name, value in {
        "Rows": 10,
        "Columns": 20,
        "BitsAllocated": 8,
        "SamplesPerPixel": 1,
        "NumberOfFrames": 5,
        "PhotometricInterpretation": "MONOCHROME2",
    }.items():
        ds[name] = value
    out = io.BytesIO()
    write_file(out, ds)
    with opened(folder) as archive:
        archive.add(out.getvalue())
        assert bytes(archive.frame(uid_of(1), 3)) == bytes(range(200))
        assert bucket.calls["RANGE"] == 1
        assert bucket.calls["GET"] == 0


def test_what_was_read_is_read_again_from_the_disk_up_to_a_limit(bucket, folder):
    with opened(folder, cache_bytes=250_000) as archive:
        for number in range(1, 4):
            archive.add(make_file(number, size=100_000))
        for number in (1, 1, 2, 2, 3, 3, 1):
            found = archive.find_instance(uid_of(number))
            assert bytes(archive.read(found)) == make_file(number, size=100_000)
        assert bucket.calls["GET"] == 4  # the first was out when it was asked for again
        kept = list((folder / "cache").iterdir())
        assert sum(path.stat().st_size for path in kept) <= 250_000
        archive.delete(study_instance_uid="1.2.1")
        assert list((folder / "cache").iterdir()) == []
    assert bucket.objects == {}


def test_a_cache_too_small_for_anything_does_no_harm(bucket, folder):
    with opened(folder, cache_bytes=10) as archive:
        archive.add(make_file(1))
        assert bytes(archive.read(archive.find_instance(uid_of(1)))) == make_file(1)


def test_files_and_buckets_stand_side_by_side(bucket, folder):
    with Archive.open(folder) as archive:
        archive.add(make_file(1))
    with opened(folder) as archive:
        archive.add(make_file(2))
    with opened(folder, bucket=f"s3://{BUCKET}/site-b") as archive:
        archive.add(make_file(3))
    with Archive.open(folder) as archive:
        archive.add(make_file(4))
        for number in range(1, 5):
            assert bytes(archive.read(archive.find_instance(uid_of(number)))) == make_file(number)
        archive.settle()
        starts = [location[:2] for location in locations(archive)]
        assert starts == ["1.", "@b", "@b", "1."]
        assert archive.delete(study_instance_uid="1.2.1") == 4
    assert bucket.objects == {}


def test_other_bytes_of_the_same_uid_are_refused_replaced_or_kept_beside(bucket, folder):
    first, other = make_file(1), make_file(1, fill=7)
    with opened(folder) as archive:
        archive.add(first)
        assert archive.add(first).result is Result.SAME
        assert not archive.add(other).is_kept
        assert list(bucket.objects.values()) == [first]
    with opened(folder, duplicates="keep-both") as archive:
        archive.add(other)
        assert sorted(bucket.objects.values()) == sorted([first, other])
    with opened(folder, duplicates="replace") as archive:
        archive.delete(sop_instance_uid=uid_of(1))
        archive.add(first)
        archive.add(other)
        assert list(bucket.objects.values()) == [other]


def test_upkeep_knows_buckets(bucket, folder, tmp_path):
    with opened(folder) as archive:
        for number in range(1, 6):
            archive.add(make_file(number))
        archive.settle()
        key = min(bucket.objects)
        good = bucket.objects[key]
        problems = []
        assert verify(archive, problems.append).problems == 0
        for damaged, words in ((good[:-1] + b"x", "not those"), (None, "missing")):
            bucket.objects[key] = damaged
            if damaged is None:
                del bucket.objects[key]
            assert verify(archive, problems.append).problems == 1
            assert words in problems.pop().what
        bucket.objects[key] = good
        bucket.objects["site-a/by/hand.dcm"] = make_file(9)
        assert verify(archive, problems.append).problems == 1
        assert "without a row" in problems.pop().what
        assert reindex(archive, problems.append).added == 1
        done = backup(archive, tmp_path / "copy", problems.append)
        assert done == (6, 6, sum(map(len, bucket.objects.values())), 0)
        assert problems == []
    before = dict(bucket.calls)
    with Archive.open(tmp_path / "copy", index=None) as copy:  # where a backup has its own
        assert copy.counts().instances == 6
        assert bytes(copy.read(copy.find_instance(uid_of(9)))) == make_file(9)
    assert bucket.calls == before


def test_an_index_that_is_gone_is_made_anew_of_the_bucket(bucket, folder, index_place):
    with opened(folder) as archive:
        for number in range(1, 4):
            archive.add(make_file(number))
    index_place.lose(folder)
    with opened(folder) as archive:
        ready = threading.Event()
        for _ in range(6_000):
            if not archive.is_rebuilding or ready.wait(0.01):
                break
        assert archive.counts().instances == 3


def test_another_process_works_beside(bucket, folder, index_place):
    with opened(folder) as archive:
        archive.add(make_file(1))
        # Those who share an index open the archive: a visitor adds nothing to it.
        visiting = opened(folder) if index_place.is_shared else Visit(folder, archive.settings)
        with visiting as visit:
            assert bytes(visit.read(visit.find_instance(uid_of(1)))) == make_file(1)
            visit.add(make_file(2, size=300_000))
            assert visit.delete(sop_instance_uid=uid_of(1)) == 1
        assert [len(found) > 300_000 for found in bucket.objects.values()] == [True]
        assert all(location.startswith("@b") for location in locations(archive))


@pytest.mark.index_in_folder  # it has one of its own
def test_what_a_node_leaves_goes_there_as_what_others_are_sent(bucket, folder, postgresql):
    settings = {"index": postgresql.new_index(), "node_lease_seconds": 0.5, "upload": "after"}
    files = [make_file(1), make_file(2, size=100_000)]
    one = opened(folder, **settings, bucket_timeout=0.3, journal_seconds=3_000.0)
    with opened(folder, **settings) as other:
        bucket.fault = lambda kind, key: "error"
        for data in files:
            one.add(data)
        one.close()  # which leaves one in its journal, and one in its folder
        bucket.fault = lambda kind, key: None
        other.settle()
        assert sorted(bucket.objects.values()) == sorted(files)
        assert all(location.startswith("@b") for location in locations(other))


@pytest.mark.parametrize("kind", ["PUT", "PART", "MULTIPART"])
@pytest.mark.parametrize("fault", ["cut", "lost"])
@pytest.mark.parametrize("upload", ["before", "after"])
def test_the_end_of_the_process_at_any_step_loses_nothing_acknowledged(
    bucket, folder, kind, fault, upload
):
    """Of one who ends while an upload is on its way; what he had not acknowledged may be there."""
    with opened(folder, upload=upload) as archive:
        archive.add(make_file(1))
    archive = opened(folder, upload=upload, bucket_timeout=0.3)
    bucket.fault = lambda of, key: fault if of == kind else None
    big = make_file(2, size=9_000_000 if kind != "PUT" else 300_000)
    try:
        archive.add(big)
        acknowledged = True
    except OSError:
        acknowledged = False
    assert acknowledged == (upload == "after")
    abandon(archive)
    bucket.fault = lambda of, key: None
    with opened(folder, upload=upload) as archive:
        archive.settle()
        assert bytes(archive.read(archive.find_instance(uid_of(1)))) == make_file(1)
        if acknowledged:
            assert bytes(archive.read(archive.find_instance(uid_of(2)))) == big
            assert len(bucket.objects) == 2  # what was done twice was the same object
        assert archive.add(big).is_kept
        problems = []
        verify(archive, problems.append)
        assert all("without a row" in problem.what for problem in problems)


@pytest.mark.parametrize(
    "url",
    ["", "/srv", "s3://", "http://images", "s3://user:secret@images/x", "s3://images?key=secret"],
)
def test_what_is_no_bucket_is_refused_without_repeating_it(url, folder):
    if not url:
        Archive.open(folder, bucket=url).close()
        return
    with pytest.raises(ConfigurationError, match="bucket: expected") as caught:
        Archive.open(folder, bucket=url)
    assert "secret" not in str(caught.value)


def test_a_register_that_is_damaged_is_said_so(folder):
    folder.mkdir()
    (folder / "buckets.json").write_text("[]")
    with pytest.raises(ArchiveError, match=r"buckets\.json"):
        Archive.open(folder)


def test_a_data_set_of_an_instance_is_read_from_there(bucket, folder):
    with opened(folder) as archive:
        archive.add(make_file(1))
        found = archive.open_instance(uid_of(1))
        assert isinstance(found, DataSet)
        assert found.PatientName == "Doe^Jane1"
