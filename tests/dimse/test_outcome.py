"""What responses say, also those of peers that do not keep to the standard."""

from __future__ import annotations

import pytest

from dicom_actors.dimse import (
    CommandElement,
    Status,
    SubOperations,
    decode_command,
    describe_status,
    encode_command,
    error_comment,
    sub_operations,
)


def command(status: int, more: dict[int, int | str | bytes] | None = None):
    values = {
        CommandElement.COMMAND_FIELD: 0x8021,
        CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: 1,
        CommandElement.STATUS: status,
        **(more or {}),
    }
    return decode_command(encode_command(values, has_data_set=False))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0x0000, "0000H: success"),
        (0x0122, "0122H: SOP class not supported"),
        (0xA700, "A700H: out of resources"),
        (0xA7FF, "A7FFH: refused: out of resources"),
        (0xA801, "A801H: move destination unknown"),
        (0xA999, "A999H: data set does not match SOP class"),
        (0xB123, "B123H: warning"),
        (0xC123, "C123H: cannot understand or process"),
        (0x9999, "9999H: failure"),
    ],
)
def test_statuses_in_words(status: int, words: str) -> None:
    assert describe_status(status) == words


def test_every_known_status_has_words() -> None:
    for status in Status:
        assert describe_status(status).startswith(f"{status:04X}H: ")
        assert "_" not in describe_status(status)


def test_comments() -> None:
    comment = CommandElement.ERROR_COMMENT
    assert error_comment(command(0xA700, {comment: "disk full"})) == "disk full"
    assert error_comment(command(0xA700)) == ""
    assert error_comment(command(0, {comment: "fine"})) == ""
    assert error_comment(command(0xA700, {comment: b"a\\b"})) == ""
    assert isinstance(error_comment(command(0xA700, {comment: b"\xff\xfe"})), str)


def test_counts() -> None:
    counts = {0x1020: 4, 0x1021: 3, 0x1022: 2, 0x1023: 1}
    assert sub_operations(command(0xFF00, dict(counts))) == SubOperations(4, 3, 2, 1)
    assert sub_operations(command(0)) == SubOperations(None, None, None, None)
    broken = command(0, {0x1020: b"\1", 0x1021: b"\1\0\2\0", 0x1022: 5})
    assert sub_operations(broken) == SubOperations(None, None, 5, None)
