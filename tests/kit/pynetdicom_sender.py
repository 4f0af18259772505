"""Sends files with pynetdicom, as a program: what it leaves open ends with its process.

``pynetdicom_sender.py TITLE PORT FILE...`` prints a line for each answer, status and file. It
associates once; what was not answered is not repeated.
"""

from __future__ import annotations

import sys
import warnings

from pydicom import dcmread
from pynetdicom import AE

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def send(title: str, port: int, paths: list[str]) -> None:
    """Send the files on one association."""
    entity = AE(ae_title=title)
    entity.acse_timeout = entity.dimse_timeout = 10
    entity.network_timeout = entity.connection_timeout = 10
    entity.add_requested_context(CT_IMAGE, [EXPLICIT])
    association = entity.associate("127.0.0.1", port, ae_title="TEST")
    if not association.is_established:
        return
    for path in paths:
        try:
            response = association.send_c_store(dcmread(path))
        except (RuntimeError, ValueError):
            return  # the association is gone
        if "Status" not in response:
            return
        print(f"{response.Status:04X} {path}", flush=True)
    association.release()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    send(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
