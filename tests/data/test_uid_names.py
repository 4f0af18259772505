"""A typing error in the name of a UID is told with near names, wherever one is taken."""

from __future__ import annotations

import io
import pickle

import pytest

from dicom_actors import Endpoint, EndpointConfig
from dicom_actors.data import DataSet, TransferSyntax, read_file, write_file
from dicom_actors.errors import ConfigurationError, EncodeError
from dicom_actors.storage.outgoing import outgoing_object

WRONG = "ImplicitVRLittleEndien"
CT = "1.2.840.10008.5.1.4.1.1.2"


def new(**file_meta):
    ds = DataSet.from_keywords(SOPClassUID=CT, SOPInstanceUID="1.2.3", PatientID="X")
    ds.file_meta = DataSet.from_keywords(**file_meta)
    return ds


CALLS = {
    "TransferSyntax.of": lambda: TransferSyntax.of(WRONG),
    "from_bytes": lambda: DataSet.from_bytes(b"", WRONG),
    "to_bytes": lambda: new().to_bytes(WRONG),
    "with_transfer_syntax": lambda: new().with_transfer_syntax(WRONG),
    "write_file": lambda: write_file(io.BytesIO(), new(), transfer_syntax=WRONG),
    "file meta": lambda: write_file(io.BytesIO(), new(TransferSyntaxUID=WRONG)),
    "store": lambda: outgoing_object(new(TransferSyntaxUID=WRONG)),
    "config": lambda: Endpoint.start(0, config=EndpointConfig(transfer_syntaxes=[WRONG])),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_transfer_syntax(call):
    with pytest.raises((ValueError, ConfigurationError), match="ImplicitVRLittleEndian"):
        call()


def test_a_file_is_not_written_at_all(tmp_path):
    with pytest.raises(ValueError, match="close to it"):
        write_file(tmp_path / "x.dcm", new(), transfer_syntax=WRONG)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"storage_sop_classes": ["CTImageStorag"]}, "storage_sop_classes: .* CTImageStorage"),
        ({"storage_sop_classes": ["ImplicitVRLittleEndian"]}, "which is a Transfer Syntax"),
        ({"transfer_syntaxes": [CT]}, "transfer_syntaxes: .* which is a SOP Class"),
        ({"transfer_syntaxes": "1.2.840.10008.1.2"}, "expected a sequence of UIDs"),
        ({"transfer_syntaxes": 5}, "transfer_syntaxes: expected a sequence of UIDs, got 5"),
        ({"storage_sop_classes": [5]}, "storage_sop_classes: expected a UID or its keyword"),
    ],
)
def test_settings_of_an_endpoint(setting, message):
    with pytest.raises(ConfigurationError, match=message):
        Endpoint.start(0, config=EndpointConfig(**setting))


def test_the_uid_of_something_else_is_no_transfer_syntax():
    with pytest.raises(
        ValueError, match=r"expected a Transfer Syntax, got .* which is a SOP Class"
    ):
        TransferSyntax.of(CT)
    assert TransferSyntax.of("1.2.3.4").is_known is False


@pytest.mark.parametrize("written", [WRONG, CT, "1.2.3.4"])
def test_what_a_file_says_is_read_all_the_same(written):
    stream = io.BytesIO()
    write_file(stream, new(), transfer_syntax="1.2.3.4.5.6.7.8.9.10.11")
    data = stream.getvalue()
    padded = written.encode().ljust(24, b"\0")[:24]
    data = data.replace(b"1.2.3.4.5.6.7.8.9.10.11\0", padded)
    ds = read_file(data)
    assert ds.PatientID == "X"
    assert ds.transfer_syntax.is_known is False
    assert ds.to_bytes() == new().to_bytes()
    assert pickle.loads(pickle.dumps(ds)) == ds
    again = io.BytesIO()
    write_file(again, ds)
    assert read_file(again.getvalue()) == ds


def test_errors_are_of_the_family():
    assert issubclass(EncodeError, ValueError)


@pytest.mark.parametrize("slip", ["1.2.840.10008.1.2.", ".1.2", "1..2", "."])
def test_a_dot_too_many_is_a_slip(slip):
    with pytest.raises(ValueError, match="expected a UID or its keyword"):
        TransferSyntax.of(slip)
    assert TransferSyntax.as_read(slip).uid == slip  # what a file says is told as it is
