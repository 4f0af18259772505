"""Events as JSON: what consumers in any language read.

A message of JetStream, subject ``<stream>.<event>``, with the header ``Nats-Msg-Id`` (like no other
in the world, the same when it is sent again) and this body::

    {"id": "4f0c...-17", "event": "InstanceStored",
     "study_instance_uid": "1.2.3", "series_instance_uid": "1.2.3.4",
     "sop_instance_uid": "1.2.3.4.5", "size": 527414,
     "dataset": {"00080018": {"vr": "UI", "Value": ["1.2.3.4.5"]}, ...}}

``dataset`` is in the DICOM JSON Model (PS3.18 F) what the index keeps of the instance. Events of
a study have its UID, and ``reason`` where it is complete.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dicom_actors.archive.index import OutboxMessage
    from dicom_actors.events import AssociationClosed

__all__ = ["Letter", "letter_of", "letter_of_association"]


class Letter(NamedTuple):
    """A message as it is sent.

    Attributes:
        kind: the name of the event.
        id: tells it from all others.
        body: JSON.
    """

    kind: str
    id: str
    body: bytes


def letter_of(message: OutboxMessage) -> Letter:
    """Make a message of one in the outbox.

    Raises:
        ArchiveError: that is damaged.
    """
    name = f"{message.identity}-{message.id}"
    body: dict[str, Any] = {"id": name, "event": message.kind}
    for key in ("study_instance_uid", "series_instance_uid", "sop_instance_uid", "size", "reason"):
        if value := getattr(message, key):
            body[key] = value
    data_set = message.data_set()
    if data_set is not None:
        body["dataset"] = json.loads(data_set.to_json())
    return Letter(message.kind, name, json.dumps(body).encode())


def letter_of_association(closed: AssociationClosed) -> Letter:
    """Make a message of the end of an association; nobody knows one that is sent again."""
    association = closed.association
    body = {
        "event": "AssociationClosed",
        "association": association.id,
        "calling_ae_title": association.calling_ae_title,
        "called_ae_title": association.called_ae_title,
        "peer": list(association.peer),
        "reason": closed.reason,
        "requests": closed.requests,
    }
    assert dataclasses.is_dataclass(closed)
    return Letter("AssociationClosed", "", json.dumps(body, default=str).encode())
