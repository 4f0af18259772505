"""The index of an archive: how fast it takes instances, how large it gets, how fast it finds.

    python tests/benchmarks/bench_index.py [--instances 100000] [--studies 100000]
    PYTHONPATH=tests python tests/benchmarks/bench_index.py --postgresql [--instances 10000]

Instances are made of the header of a CT image of the corpus (4 KB), a hundred in a series, with
their own UIDs, numbers, positions and times. Rates are of `Index.write` in transactions of 256,
descriptions made before; `describe` is measured alone. Queries are timed from the identifier to
the first answer, and to the last; the time for one SQL statement that reads a row is beside it,
for comparison on the same machine. With `--postgresql` a server is started, and batches go to it
and to a file of SQLite in turn, both of which make each durable.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.data import get_testdata_file

from dicom_actors import DataSet, read_file
from dicom_actors.archive.index import Deleted, Index, NewInstance, describe
from dicom_actors.archive.query import Model, Settings, find

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPLICIT = "1.2.840.10008.1.2.1"
BATCH = 256
FAMILIES = (
    *("Smithy", "Joness", "Garcia", "Tanaka", "Rossis", "Novaks", "Silvas", "Nguyen"),
    *("Brandt", "Larsen"),
)


def instances(count: int, in_series: int) -> Iterator[NewInstance]:
    """Instances that differ in what those of a scanner differ in.

    They are made by putting values of the same length into the headers of one, which takes less
    time than what is measured.
    """
    template = read_file(get_testdata_file("CT_small.dcm"))
    del template["PixelData"]
    places = {
        "StudyInstanceUID": "1.3.6.1.4.1.5962.99.1.7000001",
        "SeriesInstanceUID": "1.3.6.1.4.1.5962.99.1.7000001.2",
        "SOPInstanceUID": "1.3.6.1.4.1.5962.99.1.7000001.2.7000002.70003",
        "PatientName": "Family7004^Given5",
        "PatientID": "ID7000006",
        "AccessionNumber": "ACC7000007",
        "StudyDate": "20080101",
        "InstanceNumber": "7000009",
        "ContentTime": "101112.131",
        "SliceLocation": "7014.1500",
        "ImagePositionPatient": ["-158.1", "-179.0", "7014.1500"],
    }
    for keyword, value in places.items():
        template[keyword] = value
    described = describe(DataSet.from_bytes(template.to_bytes(EXPLICIT), EXPLICIT))
    for number in range(count):
        series, place = divmod(number, in_series)
        study = f"1.3.6.1.4.1.5962.99.1.{1_000_000 + series}"
        at = f"{7_014 + place * 1.25:09.4f}"
        values = (
            (places["SOPInstanceUID"], f"{study}.2.{1_000_000 + place}.{number * 7919 % 99991:05}"),
            ("7000009", f"{place + 1:07}"),
            ("101112.131", f"10{place // 60 % 60:02}{place % 60:02}.{number % 1000:03}"),
            ("7014.1500", at),
        )
        own, upper = described.own, described.upper
        for old, new in values:
            own = own.replace(old.encode(), new.encode())
        if place == 0:
            for old, new in (
                (places["StudyInstanceUID"], study),
                (
                    "Family7004^Given5",
                    f"{FAMILIES[series % 10]}{series // 10 % 10_000:04}^Given{series % 9}",
                ),
                ("ID7000006", f"ID{series:07}"),
                ("ACC7000007", f"ACC{series:07}"),
                ("20080101", f"20{series % 20:02}{series % 12 + 1:02}{series % 28 + 1:02}"),
            ):
                assert len(old) == len(new.encode()), new
                upper = upper.replace(str(old).encode(), new.encode())
        made = described._replace(
            study_instance_uid=study,
            series_instance_uid=f"{study}.2",
            sop_instance_uid=values[0][1],
            instance_number=place + 1,
            upper=upper,
            own=own,
        )
        yield NewInstance(
            made,
            EXPLICIT,
            "{}/{}/{}.dcm".format(*made[:3]),
            39_000,
            blake2b(values[0][1].encode(), digest_size=16).digest(),
            received=1.7e9 + number / 10,
        )


def filled(path: Path, count: int, in_series: int) -> Index:
    """Fill an index, and print how many instances it took in a second."""
    index = Index.open(path, durability="os")
    source = instances(count, in_series)
    taken: list[tuple[int, float, float]] = []
    while batch := [one for _, one in zip(range(BATCH), source, strict=False)]:
        started, cpu = time.perf_counter(), time.process_time()
        index.write(batch)
        taken.append((len(batch), time.perf_counter() - started, time.process_time() - cpu))

    def rate(part: list[tuple[int, float, float]], which: int) -> float:
        return sum(one[0] for one in part) / sum(one[which] for one in part)

    few = max(1, min(10_000, count // 10) // BATCH)
    for what, which in (("by the clock", 1), ("of processor time", 2)):
        print(
            f"  {rate(taken, which):8.0f} instances a second {what};"
            f" the first {few * BATCH}: {rate(taken[:few], which):8.0f},"
            f" the last: {rate(taken[-few:], which):8.0f}"
        )
    return index


def beside_postgresql(folder: Path, count: int) -> None:
    """Write the same to SQLite and to PostgreSQL, batch by batch, and read it back."""
    from kit.postgresql import Postgresql

    server = Postgresql(is_durable=True)
    try:
        indexes = {
            "SQLite": Index.open(folder / "beside.db"),
            "PostgreSQL": Index.open(server.new_database()),
        }
        for size in (1, 16, BATCH):
            source = list(instances(min(count, 400 * size), 100))
            taken: dict[str, list[float]] = {name: [] for name in indexes}
            for at in range(0, len(source), size):
                for name, index in indexes.items():
                    started = time.perf_counter()
                    index.write(source[at : at + size])
                    taken[name].append(time.perf_counter() - started)
            rates = {name: size / statistics.median(times) for name, times in taken.items()}
            said = ", ".join(f"{name} {rate:8.0f}" for name, rate in rates.items())
            print(f"  {size:3} in a transaction: {said} instances a second")
            for index in indexes.values():
                index.write([Deleted(one.description.sop_instance_uid) for one in source])
        for name, index in indexes.items():
            index.write(source)
            started = time.perf_counter()
            for one in source[:1_000]:
                assert index.location_of(one.description.sop_instance_uid) is not None
            print(f"  {name}: one found in {(time.perf_counter() - started) * 1e3:.0f} µs")
            print(name)
            queries(index)
            index.close()
    finally:
        server.remove()


def size_of(path: Path) -> int:
    """Bytes of an index that is closed."""
    return path.stat().st_size


def median(times: list[float]) -> str:
    """In milliseconds."""
    return f"{statistics.median(times) * 1_000:8.2f} ms"


def queries(index: Index) -> None:
    """Time what is asked most."""
    settings = Settings(is_relational=True)
    every = {
        "name prefix, about ten matches": [{"PatientName": f"Smithy{n:03}*"} for n in range(40)],
        "name prefix, about 1,000 matches": [{"PatientName": f"smithy{n}*"} for n in range(4)],
        "name prefix, no match": [{"PatientName": f"Zyx{n}*"} for n in range(40)],
        "patient ID": [{"PatientID": f"ID{n:07}"} for n in range(0, 4000, 100)],
        "accession number": [{"AccessionNumber": f"ACC{n:07}"} for n in range(0, 4000, 100)],
        "a day and a modality": [
            {"StudyDate": f"2003{m:02}04", "ModalitiesInStudy": "CT"} for m in range(1, 13)
        ],
        "a part of a name": [{"PatientName": f"*ithy{n:04}^*"} for n in range(10)],
    }
    for what, identifiers in every.items():
        first, whole, count = [], [], 0
        for keys in identifiers:
            identifier = DataSet.from_keywords(
                QueryRetrieveLevel="STUDY",
                StudyInstanceUID=None,
                PatientID=None,
                StudyDate=None,
                StudyDescription=None,
                ModalitiesInStudy=None,
                NumberOfStudyRelatedInstances=None,
            )
            identifier.update(**{"PatientName": None, **keys})
            started = time.perf_counter()
            answers = find(index, identifier, Model.STUDY_ROOT, settings)
            count += next(answers, None) is not None
            first.append(time.perf_counter() - started)
            count += sum(1 for _ in answers)
            whole.append(time.perf_counter() - started)
        print(
            f"  {what:34} {count / len(identifiers):8.1f} matches, first answer"
            f" {median(first)}, all {median(whole)}"
        )


def main() -> None:
    """Measure."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--instances", type=int, default=100_000)
    arguments.add_argument("--studies", type=int, default=100_000)
    arguments.add_argument("--postgresql", action="store_true", help="beside PostgreSQL alone")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if chosen.postgresql:
            beside_postgresql(Path(folder), chosen.instances)
            return
        path = Path(folder) / "images.db"
        print(f"{chosen.instances} instances, 100 in a series")
        filled(path, chosen.instances, 100).close()
        print(f"  {size_of(path) / chosen.instances:8.0f} B an instance")

        body = read_file(get_testdata_file("CT_small.dcm")).to_bytes()
        times = []
        for _ in range(500):
            data_set = DataSet.from_bytes(body, EXPLICIT)
            started = time.perf_counter()
            describe(data_set)
            times.append(time.perf_counter() - started)
        print(f"  describe {median(times)} (258 elements)")

        path = Path(folder) / "studies.db"
        print(f"{chosen.studies} studies of one instance")
        index = filled(path, chosen.studies, 1)
        queries(index)
        index.close()
        print(f"  {size_of(path) / chosen.studies:6.0f} B a study")


if __name__ == "__main__":
    main()
