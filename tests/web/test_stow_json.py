"""STOW-RS of metadata as JSON, with their bulk data as parts."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc

import pytest
from pydicom import dcmread
from web.serving import EXPLICIT, image, served

from dicom_actors import read_file
from dicom_actors.pixels import transcode
from dicom_actors.web import DicomWeb, Request, WebSettings

JSON = "application/dicom+json"
OCTETS = "application/octet-stream"
JPEG, LOSSLESS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    settings = WebSettings(drain_timeout=1.0, allow_delete=True)
    with served(tmp_path_factory.mktemp("archive"), settings=settings) as (client, archive):
        client.archive = archive
        yield client
        archive.settle()
        assert archive.store.file_system.names("incoming") == []


def model_of(data_set, uri="pixels"):
    """The JSON model, with pixels by their address."""
    return json.loads(
        data_set.to_json(bulk_data_uri=lambda _, one: uri if one.tag == 0x7FE00010 else None)
    )


def body_of(models, *parts, kind=JSON):
    pieces = [f"--b\r\nContent-Type: {kind}\r\n\r\n{json.dumps(models)}\r\n".encode()]
    for location, content_type, data in parts:
        head = f"--b\r\nContent-Type: {content_type}\r\nContent-Location: {location}\r\n\r\n"
        pieces += (head.encode(), data, b"\r\n")
    return b"".join([*pieces, b"--b--\r\n"])


def stow(target, models, *parts, path="/studies", kind=JSON):
    content_type = f'multipart/related; type="{kind}"; boundary=b'
    return target.web(path, "POST", body_of(models, *parts, kind=kind), Content_Type=content_type)


def kept(target, data_set):
    """What the archive has of it, read by us and by others."""
    uids = (data_set.StudyInstanceUID, data_set.SeriesInstanceUID, data_set.SOPInstanceUID)
    path = "/studies/{}/series/{}/instances/{}".format(*uids)
    answer = target.web(path, Accept="application/dicom; transfer-syntax=*")
    assert answer.status == 200
    return read_file(answer.body), dcmread(io.BytesIO(answer.body))


def test_several_objects_with_their_pixels(target):
    made = [image(number, study="1.3.1") for number in (1, 2, 3)]
    models = [model_of(one, f"pixels/{at}") for at, one in enumerate(made)]
    parts = [(f"pixels/{at}", OCTETS, one["PixelData"]) for at, one in enumerate(made)]

    answer = stow(target, models, *reversed(parts))

    assert answer.status == 200
    assert answer.type == JSON
    result = answer.json()
    assert [one["00081155"]["Value"] for one in result["00081199"]["Value"]] == [
        [one.SOPInstanceUID] for one in made
    ]
    assert "00081198" not in result
    for one in made:
        found, other = kept(target, one)
        assert found == one
        assert other.file_meta.TransferSyntaxUID == EXPLICIT
        assert other.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
        assert other.PixelData == one["PixelData"]


@pytest.mark.parametrize("kind", [JSON, "application/json"])
@pytest.mark.parametrize("uri", ["pixels", "http://elsewhere.example/a?b=c", "urn:uuid:1-2"])
def test_any_address_is_but_a_name(target, uri, kind):
    made = image(1, study="1.3.2")
    target.web("/studies/1.3.2", "DELETE")

    answer = stow(target, [model_of(made, uri)], (uri, OCTETS, made["PixelData"]), kind=kind)

    assert answer.status == 200
    assert kept(target, made)[0] == made


def test_an_object_alone_with_its_pixels_in_it(target):
    made = image(1, study="1.3.3")
    model = json.loads(made.to_json())
    assert "InlineBinary" in model["7FE00010"]

    assert stow(target, model, path="/studies/1.3.3").status == 200
    assert kept(target, made)[0] == made


def test_large_pixels_go_by_a_file(target):
    made = image(1, study="1.3.4", rows=1200, columns=1200)
    assert len(made["PixelData"]) > target.archive.settings.journal_object_bytes

    assert stow(target, [model_of(made)], ("pixels", OCTETS, made["PixelData"])).status == 200
    assert kept(target, made)[0] == made


@pytest.mark.parametrize(
    ("syntax", "content_type", "stated"),
    [
        (JPEG, f"image/jpeg; transfer-syntax={JPEG}", None),
        (JPEG, f'image/jpeg; transfer-syntax="{JPEG}"', None),
        (JPEG, "image/jpeg", None),  # as its frames say
        (JPEG, OCTETS, "00083002"),
        (JPEG, "image/jpeg", "00020010"),
        (LOSSLESS, "image/jpeg", None),
        (JPEG_LS, "image/jls", None),
        (JPEG_2000, "image/jp2", None),
        (JPEG_2000, f"{OCTETS}; transfer-syntax={JPEG_2000}", None),
    ],
)
@pytest.mark.parametrize("frames", [None, 3])
def test_compressed_frames_are_a_part_each(target, syntax, content_type, stated, frames):
    whole = image(1, study="1.3.5", rows=16, columns=16, frames=frames)
    for keyword, value in {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}.items():
        whole.put(keyword, "US", value)
    whole.put("PixelData", "OB", bytes(value % 251 for value in range(256 * (frames or 1))))
    made = transcode(whole, syntax)
    encoded = [bytes(one) for one in made.frames()]
    model = model_of(made)
    if stated:
        model[stated] = {"vr": "UI", "Value": [syntax]}
    target.web("/studies/1.3.5", "DELETE")

    answer = stow(target, [model], *(("pixels", content_type, frame) for frame in encoded))

    assert answer.status == 200
    found, other = kept(target, made)
    assert other.file_meta.TransferSyntaxUID == syntax
    assert "AvailableTransferSyntaxUID" not in found
    assert [bytes(one) for one in found.frames()] == encoded


def test_some_are_kept_and_others_not(target):
    made = [image(number, study="1.3.6") for number in (1, 2, 3, 4)]
    models = [model_of(one, f"p{at}") for at, one in enumerate(made)]
    parts = [(f"p{at}", OCTETS, one["PixelData"]) for at, one in enumerate(made)]
    parts[3] = ("p3", "image/unheard-of; transfer-syntax=1.2.3", b"xx")
    del parts[1]  # nobody sends that one
    models[2]["0020000D"]["Value"] = ["1.3.7"]  # nor is this of the study

    answer = stow(target, models, *parts, path="/studies/1.3.6")

    assert answer.status == 202
    result = answer.json()
    assert [one["00081155"]["Value"] for one in result["00081199"]["Value"]] == [["1.3.6.1.1"]]
    assert {
        one["00081155"]["Value"][0]: one["00081197"]["Value"][0]
        for one in result["00081198"]["Value"]
    } == {"1.3.6.1.2": 0xC000, "1.3.6.1.3": 0xC409, "1.3.6.1.4": 0x0122}
    assert kept(target, made[0])[0] == made[0]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"])
def test_pixels_that_are_not_as_they_would_be_kept_are_refused(target, syntax):
    """Native pixel data are in little endian (PS3.18 8.7.3.3.2); others would be kept wrong."""
    model = model_of(image(1, study="1.3.81"))
    answer = stow(target, [model], ("pixels", f"{OCTETS}; transfer-syntax={syntax}", bytes(48)))

    assert answer.status == 409
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0x0122]
    # What the metadata were made of, in contrast, is not what the parts are.
    model["00083002"] = {"vr": "UI", "Value": [syntax]}
    assert stow(target, [model], ("pixels", OCTETS, bytes(48))).status == 200


def test_what_delimits_items_is_no_element(target):
    model = model_of(image(1, study="1.3.82"))
    model["FFFEE000"] = {"vr": "UN"}
    assert stow(target, [model], ("pixels", OCTETS, bytes(48))).status == 409


def test_a_body_that_is_encoded_is_refused(target):
    body = gzip.compress(body_of([model_of(image(1, study="1.3.83"))]))
    named = {"Content_Type": "multipart/related; boundary=x", "Content_Encoding": "gzip"}
    answer = target.web("/studies", "POST", body, **named)
    assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")


@pytest.mark.parametrize("missing", ["0020000D", "0020000E", "00080016", "00080018"])
def test_an_object_without_a_name_is_refused(target, missing):
    model = model_of(image(1, study="1.3.8"))
    del model[missing]

    answer = stow(target, [model], ("pixels", OCTETS, bytes(48)))

    assert answer.status == 409
    assert target.web("/studies?StudyInstanceUID=1.3.8").json() == []


def test_what_was_retrieved_can_be_stored(target):
    made = image(1, study="1.3.9", PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう")
    made.put("SpecificCharacterSet", "CS", "ISO_IR 192")
    assert stow(target, [model_of(made)], ("pixels", OCTETS, made["PixelData"])).status == 200
    models = target.web("/studies/1.3.9/metadata").json()
    address = models[0]["7FE00010"]["BulkDataURI"]
    pixels = target.ask(address[address.index("/dicom-web") :], Accept=OCTETS).body
    assert target.web("/studies/1.3.9", "DELETE").status == 204

    assert stow(target, models, (address, OCTETS, pixels)).status == 200

    assert kept(target, made)[0] == made


def test_parts_of_one_address_need_not_be_side_by_side(target):
    made = image(1, study="1.3.10", rows=16, columns=16, frames=3)
    whole = made["PixelData"]
    made.put("PixelPaddingValue", "US", 1)
    made.put((0x0009, 0x0010), "LO", "ACME")
    made.put((0x0009, 0x1001), "OB", b"abcdef")
    model = model_of(made)
    model["00091001"] = {"vr": "OB", "BulkDataURI": "private"}
    frames = [("pixels", OCTETS, whole[at : at + 512]) for at in range(0, len(whole), 512)]

    # And one of an odd length between them.
    parts = [frames[0], ("private", OCTETS, b"abc"), *frames[1:], ("private", OCTETS, b"def")]
    assert stow(target, [model], *parts).status == 200
    assert kept(target, made)[0] == made


def fed(archive, models, parts, size=1 << 20):
    """What a request is answered with that is fed to the application piece by piece."""
    application = DicomWeb(archive)
    content_type = f'multipart/related; type="{JSON}"; boundary=b'
    request = Request("POST", "/studies", "http://here", headers={"content-type": content_type})
    try:
        receiver = application.begin(request)
        receiver.feed(body_of(models)[: -len(b"--b--\r\n")])
        for location, times in parts:
            receiver.feed(
                f"--b\r\nContent-Type: {OCTETS}\r\nContent-Location: {location}\r\n\r\n".encode()
            )
            for number in range(times):
                receiver.feed(bytes([number]) * size)
            receiver.feed(b"\r\n")
        receiver.feed(b"--b--\r\n")
        answer = receiver.finish()
        receiver.close()
        return answer.status, json.loads(b"".join(answer.body))
    finally:
        application.close()


def test_bulk_data_are_in_no_memory_whole(target):
    made = image(1, study="1.3.11")
    model = model_of(made)
    tracemalloc.start()
    try:
        status, _ = fed(target.archive, [model], [("pixels", 48), ("other", 1), ("pixels", 48)])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert status == 200
    assert peak < 24 << 20  # of 97 MiB
    found, _ = kept(target, made)
    pixels = found["PixelData"]
    assert len(pixels) == 96 << 20
    assert bytes(pixels[47 << 20 : (47 << 20) + 2]) == bytes(pixels[95 << 20 : (95 << 20) + 2])
    assert bytes(pixels[47 << 20 : (47 << 20) + 2]) == bytes([47, 47])


def test_a_part_does_not_stand_for_the_values_of_too_many(target):
    models = [model_of(image(number, study="1.3.12")) for number in range(1, 101)]

    status, result = fed(target.archive, models, [("pixels", 2)])

    stored = len(result["00081199"]["Value"])
    reasons = [one["00081197"]["Value"][0] for one in result["00081198"]["Value"]]
    assert status == 202
    assert stored == (64 + 4 * 2) // 2
    assert reasons == [0xA700] * (100 - stored)


@pytest.mark.parametrize(
    ("count", "text"), [(20_001, b"20000 objects"), (1_000_001, b"commas and brackets")]
)
def test_metadata_of_too_many_values_are_refused(target, count, text):
    answer = stow(target, [[]] * count)

    assert answer.status == 413
    assert text in answer.body
