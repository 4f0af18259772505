"""`dicomweb-client`, the client that scripts use, asks for all that it can."""

from __future__ import annotations

import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from web.serving import file_of, image, served

from dicom_actors.web import WebSettings

STUDY, SERIES, INSTANCE = "1.2.3", "1.2.3.1", "1.2.3.1.2"
PIXELS = image(2, frames=3)["PixelData"]
FRAME = len(PIXELS) // 3


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    objects = [image(number, frames=3) for number in (1, 2)]
    objects.append(image(1, study="1.2.4", PatientName="Roe^Jane", PatientID="P2"))
    settings = WebSettings(allow_delete=True, drain_timeout=1.0)
    folder = tmp_path_factory.mktemp("archive")
    with served(folder, *objects, settings=settings) as (plain, _):
        yield DICOMwebClient(url=f"http://127.0.0.1:{plain.port}/dicom-web")


def uids(found, tag="0020000D"):
    return [one[tag]["Value"][0] for one in found]


READS = {
    "search_for_studies": (lambda c: uids(c.search_for_studies()), ["1.2.3", "1.2.4"]),
    "search_for_studies by name": (
        lambda c: uids(c.search_for_studies(search_filters={"PatientName": "roe*"})),
        ["1.2.4"],
    ),
    "search_for_studies by a page": (
        lambda c: uids(c.search_for_studies(limit=1, offset=1)),
        ["1.2.4"],
    ),
    "search_for_studies to the end": (
        lambda c: uids(c.search_for_studies(limit=1, get_remaining=True)),
        ["1.2.3", "1.2.4"],
    ),
    "search_for_studies with fields": (
        lambda c: c.search_for_studies(fields=["PatientAge"], fuzzymatching=True)[0]["00101010"],
        {"vr": "AS"},
    ),
    "search_for_series": (lambda c: uids(c.search_for_series(), "0020000E"), [SERIES, "1.2.4.1"]),
    "search_for_series of a study": (
        lambda c: uids(c.search_for_series(STUDY), "0020000E"),
        [SERIES],
    ),
    "search_for_instances": (
        lambda c: uids(c.search_for_instances(), "00080018"),
        ["1.2.3.1.1", "1.2.3.1.2", "1.2.4.1.1"],
    ),
    "search_for_instances of a series": (
        lambda c: uids(c.search_for_instances(STUDY, SERIES), "00080018"),
        ["1.2.3.1.1", "1.2.3.1.2"],
    ),
    "retrieve_study": (lambda c: [one.InstanceNumber for one in c.retrieve_study(STUDY)], [1, 2]),
    "iter_study": (lambda c: [one.InstanceNumber for one in c.iter_study(STUDY)], [1, 2]),
    "retrieve_series": (
        lambda c: [one.InstanceNumber for one in c.retrieve_series(STUDY, SERIES)],
        [1, 2],
    ),
    "iter_series": (
        lambda c: [one.InstanceNumber for one in c.iter_series(STUDY, SERIES)],
        [1, 2],
    ),
    "retrieve_instance": (
        lambda c: c.retrieve_instance(STUDY, SERIES, INSTANCE).PixelData,
        PIXELS,
    ),
    "retrieve_instance in any transfer syntax": (
        lambda c: (
            c.retrieve_instance(
                STUDY, SERIES, INSTANCE, media_types=(("application/dicom", "*"),)
            ).PixelData
        ),
        PIXELS,
    ),
    "retrieve_study_metadata": (
        lambda c: uids(c.retrieve_study_metadata(STUDY), "00080018"),
        ["1.2.3.1.1", "1.2.3.1.2"],
    ),
    "retrieve_series_metadata": (
        lambda c: uids(c.retrieve_series_metadata(STUDY, SERIES), "00080018"),
        ["1.2.3.1.1", "1.2.3.1.2"],
    ),
    "retrieve_instance_metadata": (
        lambda c: c.retrieve_instance_metadata(STUDY, SERIES, INSTANCE)["00080018"]["Value"],
        [INSTANCE],
    ),
    "retrieve_instance_frames": (
        lambda c: c.retrieve_instance_frames(STUDY, SERIES, INSTANCE, [3, 1]),
        [PIXELS[2 * FRAME :], PIXELS[:FRAME]],
    ),
    "iter_instance_frames": (
        lambda c: list(c.iter_instance_frames(STUDY, SERIES, INSTANCE, [2])),
        [PIXELS[FRAME : 2 * FRAME]],
    ),
    "retrieve_instance_frames as octets": (
        lambda c: c.retrieve_instance_frames(
            STUDY, SERIES, INSTANCE, [1], media_types=("application/octet-stream",)
        ),
        [PIXELS[:FRAME]],
    ),
    "retrieve_bulkdata": (
        lambda c: c.retrieve_bulkdata(
            c.retrieve_instance_metadata(STUDY, SERIES, INSTANCE)["7FE00010"]["BulkDataURI"]
        ),
        [PIXELS],
    ),
    "iter_bulkdata": (
        lambda c: list(
            c.iter_bulkdata(
                c.retrieve_instance_metadata(STUDY, SERIES, INSTANCE)["7FE00010"]["BulkDataURI"],
                media_types=("application/octet-stream",),
            )
        ),
        [PIXELS],
    ),
}


@pytest.mark.parametrize("name", READS)
def test_it_reads(client, name):
    ask, expected = READS[name]

    assert ask(client) == expected


def test_it_stores_and_deletes(client, tmp_path):
    paths = []
    for number in range(1, 6):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(file_of(image(number, study="1.2.9")))
        paths.append(path)
    result = client.store_instances([dcmread(path) for path in paths], study_instance_uid="1.2.9")
    assert len(result.ReferencedSOPSequence) == 5
    assert "FailedSOPSequence" not in result

    client.delete_instance("1.2.9", "1.2.9.1", "1.2.9.1.1")
    assert len(client.search_for_instances("1.2.9")) == 4
    client.delete_series("1.2.9", "1.2.9.1")
    assert client.search_for_instances("1.2.9") == []
    client.store_instances([dcmread(paths[0])])
    client.delete_study("1.2.9")
    assert client.search_for_studies(search_filters={"StudyInstanceUID": "1.2.9"}) == []


def test_it_stores_a_thousand_and_pages_through_them(client):
    objects = [dcmread_bytes(image(number, study="1.2.8")) for number in range(1, 1001)]

    result = client.store_instances(objects)

    assert len(result.ReferencedSOPSequence) == 1000
    found = client.search_for_instances("1.2.8", limit=300, get_remaining=True)
    assert len({one["00080018"]["Value"][0] for one in found}) == len(found) == 1000
    client.delete_study("1.2.8")


def dcmread_bytes(data_set):
    import io

    return dcmread(io.BytesIO(file_of(data_set)))
