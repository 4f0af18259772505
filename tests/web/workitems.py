"""Workitems, and who asks for them, for tests."""

from __future__ import annotations

import json
from typing import Any

from dicom_actors.web import HttpError, Request

UID = "1.2.826.77"
LOCK, OTHER = "1.2.826.78", "1.2.826.79"


def attribute(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def workitem(**more: Any) -> dict[str, Any]:
    return {
        "00741200": attribute("CS", "MEDIUM"),
        "00741204": attribute("LO", "Segment the liver"),
        "00404041": attribute("CS", "READY"),
        "00404005": attribute("DT", "20260105120000"),
        "00741000": attribute("CS", "SCHEDULED"),
        "00081195": {"vr": "UI"},
        "00100010": attribute("PN", {"Alphabetic": "Doe^Jane"}),
        "00100020": attribute("LO", "P1"),
        **more,
    }


def code(value: str) -> dict[str, Any]:
    return {
        "00080100": attribute("SH", value),
        "00080102": attribute("SH", "99T"),
        "00080104": attribute("LO", value),
    }


PERFORMED = {
    "00741216": attribute(
        "SQ",
        {
            "00404028": attribute("SQ", code("station")),
            "00404050": attribute("DT", "20260105120100"),
            "00404019": attribute("SQ", code("work")),
            "00404051": attribute("DT", "20260105120200"),
            "00404033": {"vr": "SQ"},
        },
    )
}


class Asker:
    """Asks the application, without sockets."""

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(self, method: str, path: str, body: Any = None, *query: tuple[str, str]) -> Any:
        request = Request(method, path, "http://here", tuple(query), {})
        found = self.application.begin(request)
        if hasattr(found, "feed"):
            try:
                raw = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
                for at in range(0, len(raw), 7000):
                    found.feed(raw[at : at + 7000])
                found = found.finish()
            except HttpError as error:
                return error.status, error.headers, error.text
        return found.status, found.headers, b"".join(found.body)

    def state(self, state: str, lock: str = LOCK, uid: str = UID) -> int:
        body = {"00741000": attribute("CS", state)}
        if lock:
            body["00081195"] = attribute("UI", lock)
        return self("PUT", f"/workitems/{uid}/state", body)[0]

    def now(self, uid: str = UID) -> dict[str, Any]:
        status, _, body = self("GET", f"/workitems/{uid}")
        assert status == 200
        (model,) = json.loads(body)
        return model

    def make(self, uid: str = UID, **more: Any) -> None:
        assert self("POST", "/workitems", workitem(**more), ("workitem", uid))[0] == 201
