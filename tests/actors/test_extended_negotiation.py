"""SOP class extended negotiation of an endpoint (PS3.7 D.3.3.5)."""

from __future__ import annotations

import pytest
from kit.endpoints import running

from dicom_actors import EndpointConfig, connect
from dicom_actors.errors import ConfigurationError
from dicom_actors.pdu import SopClassExtended

pytestmark = pytest.mark.usefixtures("nothing_left")

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
VERIFICATION = "1.2.840.10008.1.1"


@pytest.mark.parametrize(
    ("supported", "proposed", "agreed"),
    [
        ({FIND: b"\1\1"}, b"\1\1\1\1", b"\1\1"),
        ({FIND: b"\1\0\1"}, b"\1\1", b"\1\0"),
        ({FIND: b"\1\1"}, b"\0\1", b"\0\1"),
        ({VERIFICATION: b"\1"}, b"\1", None),
        (None, b"\1", None),
    ],
)
def test_what_both_have_is_agreed_and_handlers_are_told(supported, proposed, agreed):
    seen = []

    def find(event):
        seen.append(event.association.extended_negotiation)
        return []

    with running({"cfind": find}, extended_negotiation=supported) as endpoint:
        with connect(
            "127.0.0.1", endpoint.port, extended=[SopClassExtended(FIND, proposed)]
        ) as association:
            list(association.find({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": None}))
    assert seen == [{} if agreed is None else {FIND: agreed}]


def test_what_is_supported_is_bytes():
    with pytest.raises(ConfigurationError, match="extended_negotiation"):
        EndpointConfig(extended_negotiation={FIND: "\1"})
