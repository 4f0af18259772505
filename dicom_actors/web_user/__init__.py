"""The user side of DICOMweb: store, search and retrieve at a server that speaks it.

::

    from dicom_actors.web_user import WebClient

    with WebClient("http://127.0.0.1:8042/dicom-web") as archive:
        for result in archive.store(["a.dcm", "b.dcm"]):
            print(result)
        for study in archive.find("STUDY", {"PatientName": "DOE*"}):
            for instance in archive.retrieve(study.StudyInstanceUID):
                print(instance.SOPInstanceUID)

It needs no extra. One connection, which is kept from request to request; used from one thread at a
time. Objects go out in pieces and come in one by one; what a server may send is bounded.

`client` has what a user calls; `http` the connection, `answers` what a server says of objects.

Standard: PS3.18 10.
"""

from dicom_actors.web_user.client import WebClient
from dicom_actors.web_user.http import WebError

__all__ = ["WebClient", "WebError"]
