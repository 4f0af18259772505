"""Every call of `dicomweb-client` to our server and to the plugin of Debian's Orthanc, as a table.

::

    PYTHONPATH=tests python tests/kit/dicomweb_client_calls.py

A call is right if it gives what the tests of our server expect; else it is shown what it gave, or
which error it was. The last row stores a thousand instances and turns pages to the last of them.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from dicomweb_client.api import DICOMwebClient
from kit.orthanc import orthanc
from web.serving import file_of, image, served
from web.test_dicomweb_client import READS, dcmread_bytes

from dicom_actors.web import WebSettings

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
THOUSAND = "store_instances, a thousand, and pages of 300 to the end"


def objects() -> list[Any]:
    """What the tests store."""
    made = [image(number, frames=3) for number in (1, 2)]
    return [*made, image(1, study="1.2.4", PatientName="Roe^Jane", PatientID="P2")]


def thousand(client: DICOMwebClient) -> int:
    """Store a thousand; gives how many are found, page by page."""
    client.store_instances([dcmread_bytes(image(n, study="1.2.8")) for n in range(1, 1001)])
    found = client.search_for_instances("1.2.8", limit=300, get_remaining=True)
    return len({one["00080018"]["Value"][0] for one in found})


def said(ask: Any, expected: Any, client: DICOMwebClient) -> str:
    """Whether a call is right, or what it gave."""
    try:
        found = ask(client)
    except Exception as error:
        return f"{type(error).__name__}: {error!s:.60}".splitlines()[0]
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        found, expected = sorted(found), sorted(expected)  # any order is as good
    return "right" if found == expected else f"another answer: {found!s:.40}"


def main() -> None:
    """Run it."""
    with contextlib.ExitStack() as stack:
        own, other = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in "ab")
        settings = WebSettings(allow_delete=True)
        ours, _ = stack.enter_context(served(own, *objects(), settings=settings))
        web = {"Plugins": [PLUGIN], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
        theirs = stack.enter_context(orthanc(other, **web))
        for one in objects():
            theirs.request("POST", "/instances", file_of(one))
        clients = {
            "dicom-actors": DICOMwebClient(url=f"http://127.0.0.1:{ours.port}/dicom-web"),
            "Orthanc": DICOMwebClient(url=f"http://127.0.0.1:{theirs._http_port}/dicom-web"),
        }
        rows = {**READS, THOUSAND: (thousand, 1000)}
        right = dict.fromkeys(clients, 0)
        print(f"{'':58}" + "".join(f"{name:14}" for name in clients))
        for name, (ask, expected) in rows.items():
            answers = {who: said(ask, expected, client) for who, client in clients.items()}
            for who, answer in answers.items():
                right[who] += answer == "right"
            print(f"{name:58}" + "".join(f"{answer:14}" for answer in answers.values()))
        print(f"{f'right, of {len(rows)}':58}" + "".join(f"{n:<14}" for n in right.values()))


if __name__ == "__main__":
    main()
