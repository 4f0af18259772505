"""Pictures of what is stored, and frames that are decoded."""

from __future__ import annotations

import io
import random

import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from web.serving import EXPLICIT, file_of, image, served

from dicom_actors import read_file
from dicom_actors.pixels import transcode
from dicom_actors.web import pixel_pictures

INSTANCE = "/studies/{0}/series/{0}.1/instances/{0}.1.1"
PLAIN, JPEG_LS, RLE = (INSTANCE.format(study) for study in ("1.2.3", "1.2.4", "1.2.5"))
SIZE = (60, 40)
OCTETS = "multipart/related; type=application/octet-stream"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    plain = image(rows=40, columns=60, frames=3)
    compressed = [
        file_of(transcode(image(study=study, rows=40, columns=60, frames=3), syntax), syntax)
        for study, syntax in (("1.2.4", "1.2.840.10008.1.2.4.80"), ("1.2.5", "1.2.840.10008.1.2.5"))
    ]
    text = image(study="1.2.6")
    del text["PixelData"]
    with served(tmp_path_factory.mktemp("archive"), plain, *compressed, text) as (client, _):
        yield client


@pytest.mark.parametrize("path", [PLAIN, JPEG_LS, RLE])
@pytest.mark.parametrize(
    ("kind", "form"), [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/gif", "GIF")]
)
def test_a_picture(client, path, kind, form):
    answer = client.web(f"{path}/rendered", Accept=kind)

    assert (answer.status, answer.type) == (200, kind)
    picture = Image.open(io.BytesIO(answer.body))
    assert (picture.format, picture.size) == (form, SIZE)
    assert getattr(picture, "n_frames", 1) == (3 if form == "GIF" else 1)


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("viewport=30,30", (30, 20)),
        ("viewport=30,30,0,0,20,20", (30, 30)),
        ("viewport=30,30,10,10,-20,20", (30, 30)),
        ("viewport=30,30,0,0,0.1,0.1", (30, 30)),
        ("viewport=30,30,59.9,39.9,1,1", (30, 30)),
        ("viewport=30,30,0,0,1e-320,0.1", (30, 30)),
        ("window=1000,2000,linear", SIZE),
        ("window=1000,2000,sigmoid&quality=10", SIZE),
    ],
)
def test_parameters_of_a_picture(client, query, size):
    answer = client.web(f"{PLAIN}/frames/2/rendered?{query}")

    assert Image.open(io.BytesIO(answer.body)).size == size


def test_a_window_changes_what_is_seen(client):
    dark, bright = (
        Image.open(io.BytesIO(client.web(f"{PLAIN}/rendered?window={w}", Accept="image/png").body))
        for w in ("100000,10", "-100000,10")
    )
    assert dark.convert("L").getextrema() == (0, 0)
    assert bright.convert("L").getextrema() == (255, 255)


@pytest.mark.parametrize(
    "query",
    [
        "viewport=0,10",
        "viewport=a,b",
        "viewport=1",
        "viewport=99999,99999",
        "window=1",
        "window=1,0",
        "window=1,nan",
        "window=1,2,cubic",
        "quality=0",
        "quality=101",
        "quality=00",
        "quality=0001000",
        f"quality=0001{'0' * 5000}",
        "quality=x",
    ],
)
def test_parameters_that_are_none(client, query):
    assert client.web(f"{PLAIN}/rendered?{query}").status == 400


def test_thumbnails_at_all_levels(client):
    for path in ("/studies/1.2.3", "/studies/1.2.3/series/1.2.3.1", PLAIN, f"{PLAIN}/frames/3"):
        answer = client.web(f"{path}/thumbnail")
        assert (answer.status, answer.type) == (200, "image/jpeg")
        assert max(Image.open(io.BytesIO(answer.body)).size) == 128


def test_what_is_no_image_has_no_picture(client):
    assert client.web(f"{INSTANCE.format('1.2.6')}/rendered").status == 406
    assert client.web(f"{PLAIN}/frames/4/rendered").status == 404
    assert client.web(f"{PLAIN}/rendered", Accept="image/tiff").status == 406


@pytest.mark.parametrize("accept", [{}, {"Accept": "*/*"}, {"Accept": "image/gif"}])
def test_several_frames_are_one_picture(client, accept):
    answer = client.web(f"{PLAIN}/frames/3,2/rendered", **accept)

    assert (answer.status, answer.type) == (200, "image/gif")
    assert Image.open(io.BytesIO(answer.body)).n_frames == 2


def test_a_picture_of_too_many_pixels_is_made_of_none_but_the_first(client, monkeypatch):
    made, real = [], pixel_pictures._picture
    monkeypatch.setattr(pixel_pictures, "_picture", lambda *named: made.append(1) or real(*named))
    frames = ",".join(["1"] * 400)
    answer = client.web(f"{PLAIN}/frames/{frames}/rendered?viewport=2000,2000", Accept="image/gif")
    assert (answer.status, len(made)) == (406, 1)
    assert b"large" in answer.body


def test_several_frames_are_pictures_where_that_is_asked_for(client):
    path = f"{PLAIN}/frames/2,1,3"
    answer = client.web(f"{path}/rendered", Accept='multipart/related; type="image/png"')

    assert answer.type.startswith('multipart/related; type="image/png"')
    parts = answer.parts()
    assert [headers["content-type"] for headers, _ in parts] == ["image/png"] * 3
    single = [
        client.web(f"{PLAIN}/frames/{number}/rendered", Accept="image/png").body
        for number in (2, 1, 3)
    ]
    assert [body for _, body in parts] == single
    refused = client.web(f"{path}/rendered", Accept="image/png")
    assert refused.status == 406
    assert b'image/gif, multipart/related; type="image/jpeg"' in refused.body


@pytest.mark.parametrize("path", [PLAIN, JPEG_LS, RLE])
def test_frames_are_decoded(client, path):
    answer = client.web(
        f"{path}/frames/1,3", Accept="multipart/related; type=application/octet-stream"
    )

    pixels = image(rows=40, columns=60, frames=3)["PixelData"]
    length = len(pixels) // 3
    assert [body for _, body in answer.parts()] == [pixels[:length], pixels[2 * length :]]


def test_objects_are_decompressed(client):
    answer = client.web(JPEG_LS, Accept='multipart/related; type="application/dicom"')

    ((headers, body),) = answer.parts()
    assert headers["content-type"].endswith(EXPLICIT)
    assert read_file(body)["PixelData"] == image(rows=40, columns=60, frames=3)["PixelData"]


def test_wado_uri(client):
    query = "requestType=WADO&studyUID=1.2.3&seriesUID=1.2.3.1&objectUID=1.2.3.1.1"
    object_, picture, frame = (
        client.web(f"/wado?{query}{more}")
        for more in (
            "&contentType=application/dicom",
            "",
            "&contentType=image/png&frameNumber=2&rows=20&windowCenter=10&windowWidth=20",
        )
    )
    assert read_file(object_.body).SOPInstanceUID == "1.2.3.1.1"
    assert object_.type.startswith("application/dicom")
    assert picture.type == "image/jpeg"
    assert Image.open(io.BytesIO(frame.body)).size == (20, 13)
    assert client.web(f"/wado?{query}&contentType=text/html").status == 406
    assert client.web(f"/wado?{query}&windowCenter=1").status == 400
    assert client.web(f"/wado?{query}1").status == 404


def test_what_the_client_has_is_not_sent_again(client):
    names = ("", "/metadata", "/rendered", "/thumbnail", "/frames/1", "/bulkdata/7FE00010")
    for path in [f"{one}{name}" for one in (PLAIN, JPEG_LS) for name in names]:
        answer = client.web(path)
        again = client.web(path, If_None_Match=answer.headers["etag"])
        assert (again.status, again.body) == (304, b"")


def test_ranges(client):
    path = f"{PLAIN}/bulkdata/7FE00010"
    whole = client.web(path, Accept="application/octet-stream").body
    for asked, expected in (
        ("bytes=0-9", whole[:10]),
        ("bytes=100-", whole[100:]),
        ("bytes=-7", whole[-7:]),
        ("bytes=10-99999999", whole[10:]),
    ):
        answer = client.web(path, Accept="application/octet-stream", Range=asked)
        assert (answer.status, answer.body) == (206, expected)
        assert answer.headers["content-range"].endswith(f"/{len(whole)}")
    beyond = client.web(path, Accept="application/octet-stream", Range="bytes=99999999-")
    assert beyond.status == 416
    assert client.web(path, Accept="application/octet-stream", Range="lines=1-2").body == whole


def test_the_client_of_scripts_has_pictures(client):
    scripts = DICOMwebClient(url=f"http://127.0.0.1:{client.port}/dicom-web")
    uids = ("1.2.3", "1.2.3.1", "1.2.3.1.1")

    for data in (
        scripts.retrieve_instance_rendered(*uids, media_types=("image/jpeg",)),
        scripts.retrieve_instance_frames_rendered(*uids, [2], media_types=("image/png",)),
        scripts.retrieve_series_rendered(*uids[:2], media_types=("image/jpeg",)),
    ):
        assert Image.open(io.BytesIO(data)).size == SIZE


@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2.5"])
def test_a_large_object_is_not_read_whole(tmp_path, monkeypatch, syntax):
    made = image(rows=512, columns=512, frames=6)
    made.put("PixelData", "OW", random.Random(1).randbytes(6 * 512 * 1024))
    frames = [bytes(one) for one in made.frames()]
    object_ = made if syntax == EXPLICIT else file_of(transcode(made, syntax), syntax)
    with served(tmp_path, object_) as (client, archive):
        archive.settle()
        asked = []
        read_part = archive.read_part

        def noted(instance, offset, length, **named):
            asked.append(length)
            return read_part(instance, offset, length, **named)

        monkeypatch.setattr(archive, "read_part", noted)

        picture = client.web(f"{PLAIN}/frames/5/rendered", Accept="image/png")
        small = client.web(f"{PLAIN}/thumbnail", Accept="image/jpeg")
        decoded = client.web(f"{PLAIN}/frames/5", Accept="application/octet-stream")

    assert (picture.status, small.status) == (200, 200)
    assert Image.open(io.BytesIO(picture.body)).size == (512, 512)
    assert decoded.body == frames[4] or syntax != EXPLICIT
    assert max(asked, default=0) <= 2 * 512 * 1024
