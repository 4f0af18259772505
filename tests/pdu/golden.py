"""PDUs as bytes, each with its key: what every field is.

"Captured" PDUs are traffic of DCMTK 3.6.7 and pynetdicom 3.0.4 with each other; the others
are written from the layout of PS3.8 9.3 and PS3.7 D.3.3. In the keys, everything after a
``#`` explains the bytes before it, and text in quotes stands for its ASCII bytes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dicom_actors.pdu import (
    Abort,
    AssociateAc,
    AssociateRj,
    AssociateRq,
    AsyncWindow,
    ContextResult,
    PDataTf,
    Pdu,
    Pdv,
    PresentationContextAc,
    PresentationContextRq,
    ReleaseRp,
    ReleaseRq,
    RoleSelection,
    SopClassCommonExtended,
    SopClassExtended,
    UnknownItem,
    UserIdentity,
    UserInformation,
)

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
DCMTK_UID, DCMTK_NAME = "1.2.276.0.7230010.3.0.3.6.7", "OFFIS_DCMTK_367"
PYNETDICOM_UID, PYNETDICOM_NAME = "1.2.826.0.1.3680043.9.3811.3.0.4", "PYNETDICOM_304"


class Golden(NamedTuple):
    """A PDU in both forms.

    Attributes:
        name: which one it is.
        data: its bytes.
        pdu: what they mean.
        canonical: whether its items are in the standard's order and its reserved bytes are 0,
            so that encoding gives the same bytes.
    """

    name: str
    data: bytes
    pdu: Pdu
    canonical: bool = True


def from_key(key: str) -> bytes:
    """Return the bytes that a key writes down."""
    data = b""
    for line in key.splitlines():
        for text, digits in re.findall(r'"([^"]*)"|([0-9A-Fa-f]{2})', line.split("#")[0]):
            data += bytes.fromhex(digits) if digits else text.encode("ascii")
    return data


DCMTK_ECHO_RQ = Golden(
    "A-ASSOCIATE-RQ captured from DCMTK's echoscu",
    from_key("""
        01 00  00 00 00 CD                  # A-ASSOCIATE-RQ, 205 bytes follow
        00 01  00 00                        # protocol version 1, reserved
        "CALLED          "                  # called AE title
        "CALLING         "                  # calling AE title
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  # reserved
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  # reserved
        10 00  00 15                        # application context item, 21 bytes
          "1.2.840.10008.3.1.1.1"
        20 00  00 2E                        # presentation context item, 46 bytes
          01 00 FF 00                       # id 1; DCMTK sends FF in the second reserved byte
          30 00  00 11 "1.2.840.10008.1.1"  # abstract syntax: Verification
          40 00  00 11 "1.2.840.10008.1.2"  # transfer syntax: Implicit VR Little Endian
        50 00  00 3A                        # user information item, 58 bytes
          51 00  00 04  00 00 40 00         # maximum length 16,384
          52 00  00 1B "1.2.276.0.7230010.3.0.3.6.7"  # implementation class UID
          55 00  00 0F "OFFIS_DCMTK_367"    # implementation version name
        """),
    AssociateRq(
        "CALLED",
        "CALLING",
        (PresentationContextRq(1, VERIFICATION, (IMPLICIT_LITTLE,)),),
        UserInformation(16384, DCMTK_UID, DCMTK_NAME),
    ),
    canonical=False,
)

DCMTK_IDENTITY_RQ = Golden(
    "A-ASSOCIATE-RQ captured from DCMTK's storescu with user name and passcode",
    from_key("""
        01 00  00 00 01 3C                  # A-ASSOCIATE-RQ, 316 bytes follow
        00 01  00 00                        # protocol version 1, reserved
        "ARCHIVE         "                  # called AE title
        "MODALITY        "                  # calling AE title
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  # reserved
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  # reserved
        10 00  00 15 "1.2.840.10008.3.1.1.1"             # application context
        20 00  00 38  01 00 FF 00                        # presentation context 1
          30 00  00 19 "1.2.840.10008.5.1.4.1.1.2"       # CT Image Storage
          40 00  00 13 "1.2.840.10008.1.2.1"             # Explicit VR Little Endian
        20 00  00 4D  03 00 FF 00                        # presentation context 3
          30 00  00 19 "1.2.840.10008.5.1.4.1.1.2"       # CT Image Storage again
          40 00  00 13 "1.2.840.10008.1.2.2"             # Explicit VR Big Endian
          40 00  00 11 "1.2.840.10008.1.2"               # Implicit VR Little Endian
        50 00  00 4E                                     # user information, 78 bytes
          51 00  00 04  00 00 40 00                      # maximum length 16,384
          52 00  00 1B "1.2.276.0.7230010.3.0.3.6.7"     # implementation class UID
          55 00  00 0F "OFFIS_DCMTK_367"                 # implementation version name
          58 00  00 10                                   # user identity, 16 bytes
            02 00                                        # name and passcode, no response wanted
            00 04 "anna"                                 # primary field
            00 06 "secret"                               # secondary field
        """),
    AssociateRq(
        "ARCHIVE",
        "MODALITY",
        (
            PresentationContextRq(1, CT_IMAGE, (EXPLICIT_LITTLE,)),
            PresentationContextRq(3, CT_IMAGE, (EXPLICIT_BIG, IMPLICIT_LITTLE)),
        ),
        UserInformation(
            16384, DCMTK_UID, DCMTK_NAME, user_identity=UserIdentity(2, b"anna", b"secret")
        ),
    ),
    canonical=False,
)

PYNETDICOM_RQ = Golden(
    "A-ASSOCIATE-RQ captured from pynetdicom with every kind of negotiation",
    from_key("""
        01 00  00 00 02 24                  # A-ASSOCIATE-RQ, 548 bytes follow
        00 01  00 00                        # protocol version 1, reserved
        "PYNET           "                  # called AE title
        "PYSCU           "                  # calling AE title
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  # reserved
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  # reserved
        10 00  00 15 "1.2.840.10008.3.1.1.1"             # application context
        20 00  00 76  01 00 00 00                        # presentation context 1
          30 00  00 11 "1.2.840.10008.1.1"               # Verification
          40 00  00 11 "1.2.840.10008.1.2"               # Implicit VR Little Endian
          40 00  00 13 "1.2.840.10008.1.2.1"             # Explicit VR Little Endian
          40 00  00 16 "1.2.840.10008.1.2.1.99"          # Deflated
          40 00  00 13 "1.2.840.10008.1.2.2"             # Explicit VR Big Endian
        20 00  00 52  03 00 00 00                        # presentation context 3
          30 00  00 19 "1.2.840.10008.5.1.4.1.1.2"       # CT Image Storage
          40 00  00 16 "1.2.840.10008.1.2.4.70"          # JPEG Lossless
          40 00  00 13 "1.2.840.10008.1.2.1"             # Explicit VR Little Endian
        50 00  00 F3                                     # user information, 243 bytes
          51 00  00 04  00 00 3F FE                      # maximum length 16,382
          52 00  00 20 "1.2.826.0.1.3680043.9.3811.3.0.4"  # implementation class UID
          55 00  00 0E "PYNETDICOM_304"                  # implementation version name
          54 00  00 1D                                   # role selection, 29 bytes
            00 19 "1.2.840.10008.5.1.4.1.1.2"            # for CT Image Storage
            01 01                                        # SCU yes, SCP yes
          53 00  00 04  00 08  00 02                     # window: invoked 8, performed 2
          58 00  00 0B                                   # user identity, 11 bytes
            03 01                                        # Kerberos ticket, response wanted
            00 05  60 82 4B 52 42                        # the ticket
            00 00                                        # no secondary field
          56 00  00 21                                   # extended negotiation, 33 bytes
            00 19 "1.2.840.10008.5.1.4.1.1.2"            # for CT Image Storage
            02 00 03 00 01 00                            # what its service class defines
          57 00  00 54                                   # common extended, 84 bytes, version 0
            00 07 "1.2.3.4"                              # the SOP class
            00 11 "1.2.840.10008.4.2"                    # its service class: Storage
            00 36                                        # 54 bytes of related general classes
              00 19 "1.2.840.10008.5.1.4.1.1.2"          # CT Image Storage
              00 19 "1.2.840.10008.5.1.4.1.1.4"          # MR Image Storage
        """),
    AssociateRq(
        "PYNET",
        "PYSCU",
        (
            PresentationContextRq(
                1, VERIFICATION, (IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG)
            ),
            PresentationContextRq(3, CT_IMAGE, (JPEG_LOSSLESS, EXPLICIT_LITTLE)),
        ),
        UserInformation(
            16382,
            PYNETDICOM_UID,
            PYNETDICOM_NAME,
            AsyncWindow(8, 2),
            (RoleSelection(CT_IMAGE, scu=True, scp=True),),
            (SopClassExtended(CT_IMAGE, bytes.fromhex("020003000100")),),
            (SopClassCommonExtended("1.2.3.4", "1.2.840.10008.4.2", (CT_IMAGE, MR_IMAGE)),),
            UserIdentity(3, b"\x60\x82KRB", positive_response_requested=True),
        ),
    ),
    canonical=False,
)

LAYOUT_RQ = Golden(
    "A-ASSOCIATE-RQ from the layout, every item in the standard's order",
    from_key("""
        01 00  00 00 01 4F                  # A-ASSOCIATE-RQ, 335 bytes follow
        00 01  00 00                        # protocol version 1, reserved
        "A               "                  # called AE title
        "ABCDEFGHIJKLMNOP"                  # calling AE title of full length
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  # reserved
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  # reserved
        10 00  00 15 "1.2.840.10008.3.1.1.1"             # application context
        20 00  00 2E  FF 00 00 00                        # presentation context 255
          30 00  00 11 "1.2.840.10008.1.1"               # Verification
          40 00  00 11 "1.2.840.10008.1.2"               # Implicit VR Little Endian
        50 00  00 B6                                     # user information, 182 bytes
          51 00  00 04  00 00 00 00                      # maximum length: no limit
          52 00  00 07 "1.2.3.4"                         # implementation class UID
          53 00  00 04  00 00  FF FF                     # window: any number, 65,535
          54 00  00 15  00 11 "1.2.840.10008.1.1" 00 01  # role selection: SCP only
          54 00  00 0B  00 07 "1.2.3.4"  01 00           # role selection: SCU only
          55 00  00 01 "V"                               # implementation version name
          56 00  00 09  00 07 "1.2.3.4"                  # extended negotiation, nothing in it
          57 00  00 16                                   # common extended, 22 bytes, version 0
            00 07 "1.2.3.4"  00 09 "1.2.3.4.5"  00 00    # no related general class
          57 01  00 29                                   # common extended, 41 bytes, version 1
            00 07 "1.2.3.4"  00 09 "1.2.3.4.5"
            00 13  00 11 "1.2.840.10008.1.1"             # one related general class
          58 00  00 0B  05 01  00 05 "TOKEN"  00 00      # user identity: JSON web token
          5A 00  00 03  01 02 03                         # a sub-item of the future
          00 00  00 00                                   # another
        60 00  00 02  AA BB                              # an item of the future
        """),
    AssociateRq(
        "A",
        "ABCDEFGHIJKLMNOP",
        (PresentationContextRq(255, VERIFICATION, (IMPLICIT_LITTLE,)),),
        UserInformation(
            0,
            "1.2.3.4",
            "V",
            AsyncWindow(0, 0xFFFF),
            (
                RoleSelection(VERIFICATION, scu=False, scp=True),
                RoleSelection("1.2.3.4", scu=True, scp=False),
            ),
            (SopClassExtended("1.2.3.4", b""),),
            (
                SopClassCommonExtended("1.2.3.4", "1.2.3.4.5"),
                SopClassCommonExtended("1.2.3.4", "1.2.3.4.5", (VERIFICATION,), 1),
            ),
            UserIdentity(5, b"TOKEN", positive_response_requested=True),
            unknown=(UnknownItem(0x5A, b"\1\2\3"), UnknownItem(0, b"")),
        ),
        unknown_items=(UnknownItem(0x60, b"\xaa\xbb"),),
    ),
)

DCMTK_AC = Golden(
    "A-ASSOCIATE-AC captured from DCMTK's storescp, which refused two contexts",
    from_key("""
        02 00  00 00 00 F4                  # A-ASSOCIATE-AC, 244 bytes follow
        00 01  00 00                        # protocol version 1, reserved
        "DCMTK           "                  # reserved: the called AE title
        "PYSCU           "                  # reserved: the calling AE title
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  # reserved
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  # reserved
        10 00  00 15 "1.2.840.10008.3.1.1.1"             # application context
        21 00  00 1B  01 00 00 00                        # context 1: acceptance
          40 00  00 13 "1.2.840.10008.1.2.1"             # Explicit VR Little Endian
        21 00  00 19  03 00 03 00                        # context 3: abstract syntax unknown
          40 00  00 11 "1.2.840.10008.1.2"               # without meaning
        21 00  00 19  05 00 04 00                        # context 5: transfer syntaxes unknown
          40 00  00 11 "1.2.840.10008.1.2"               # without meaning
        50 00  00 3A                                     # user information, 58 bytes
          51 00  00 04  00 00 40 00                      # maximum length 16,384
          52 00  00 1B "1.2.276.0.7230010.3.0.3.6.7"     # implementation class UID
          55 00  00 0F "OFFIS_DCMTK_367"                 # implementation version name
        """),
    AssociateAc(
        "DCMTK",
        "PYSCU",
        (
            PresentationContextAc(1, ContextResult.ACCEPTANCE, EXPLICIT_LITTLE),
            PresentationContextAc(3, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT_LITTLE),
            PresentationContextAc(
                5, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT_LITTLE
            ),
        ),
        UserInformation(16384, DCMTK_UID, DCMTK_NAME),
    ),
)

PYNETDICOM_AC = Golden(
    "A-ASSOCIATE-AC captured from pynetdicom with every kind of negotiation",
    from_key("""
        02 00  00 00 01 35                  # A-ASSOCIATE-AC, 309 bytes follow
        00 01  00 00                        # protocol version 1, reserved
        "PYNET           "                  # reserved: the called AE title
        "PYSCU           "                  # reserved: the calling AE title
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  # reserved
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  # reserved
        10 00  00 15 "1.2.840.10008.3.1.1.1"             # application context
        21 00  00 19  01 00 00 00                        # context 1: acceptance
          40 00  00 11 "1.2.840.10008.1.2"               # Implicit VR Little Endian
        21 00  00 1B  03 00 00 00                        # context 3: acceptance
          40 00  00 13 "1.2.840.10008.1.2.1"             # Explicit VR Little Endian
        50 00  00 98                                     # user information, 152 bytes
          51 00  00 04  00 00 3F FE                      # maximum length 16,382
          52 00  00 20 "1.2.826.0.1.3680043.9.3811.3.0.4"  # implementation class UID
          55 00  00 0E "PYNETDICOM_304"                  # implementation version name
          54 00  00 1D                                   # role selection, 29 bytes
            00 19 "1.2.840.10008.5.1.4.1.1.2" 01 01      # SCU yes, SCP yes
          53 00  00 04  00 01  00 01                     # window: one operation each way
          59 00  00 08  00 06 "ticket"                   # server response to the identity
          56 00  00 21                                   # extended negotiation, 33 bytes
            00 19 "1.2.840.10008.5.1.4.1.1.2"            # for CT Image Storage
            02 00 03 00 01 00                            # what its service class defines
        """),
    AssociateAc(
        "PYNET",
        "PYSCU",
        (
            PresentationContextAc(1, ContextResult.ACCEPTANCE, IMPLICIT_LITTLE),
            PresentationContextAc(3, ContextResult.ACCEPTANCE, EXPLICIT_LITTLE),
        ),
        UserInformation(
            16382,
            PYNETDICOM_UID,
            PYNETDICOM_NAME,
            AsyncWindow(1, 1),
            (RoleSelection(CT_IMAGE, scu=True, scp=True),),
            (SopClassExtended(CT_IMAGE, bytes.fromhex("020003000100")),),
            user_identity_response=b"ticket",
        ),
    ),
    canonical=False,
)

PYNETDICOM_RJ = Golden(
    "A-ASSOCIATE-RJ captured from pynetdicom",
    from_key("""
        03 00  00 00 00 04  00              # A-ASSOCIATE-RJ, 4 bytes follow, reserved
        01 01 07                            # permanent, service user, called AE title unknown
        """),
    AssociateRj(1, 1, 7),
)

DCMTK_ECHO_COMMAND = Golden(
    "P-DATA-TF captured from DCMTK's echoscu",
    from_key("""
        04 00  00 00 00 4A                  # P-DATA-TF, 74 bytes follow
        00 00 00 46  01 03                  # PDV of 70 bytes, context 1, command, last fragment
        00 00 00 00 04 00 00 00 38 00 00 00            # command group length 56
        00 00 02 00 12 00 00 00 "1.2.840.10008.1.1" 00 # affected SOP class: Verification
        00 00 00 01 02 00 00 00 30 00                  # command field: C-ECHO-RQ
        00 00 10 01 02 00 00 00 01 00                  # message ID 1
        00 00 00 08 02 00 00 00 01 01                  # no data set
        """),
    PDataTf(
        (
            Pdv(
                1,
                is_command=True,
                is_last=True,
                data=from_key("""
                    00 00 00 00 04 00 00 00 38 00 00 00
                    00 00 02 00 12 00 00 00 "1.2.840.10008.1.1" 00
                    00 00 00 01 02 00 00 00 30 00
                    00 00 10 01 02 00 00 00 01 00
                    00 00 00 08 02 00 00 00 01 01
                    """),
            ),
        )
    ),
)

LAYOUT_P_DATA = Golden(
    "P-DATA-TF from the layout, three PDVs",
    from_key("""
        04 00  00 00 00 17                  # P-DATA-TF, 23 bytes follow
        00 00 00 05  01 01  AA BB CC        # context 1, command, more to come
        00 00 00 04  FF 00  DD EE           # context 255, data set, more to come
        00 00 00 02  03 02                  # context 3, data set, last and empty
        """),
    PDataTf(
        (
            Pdv(1, is_command=True, is_last=False, data=b"\xaa\xbb\xcc"),
            Pdv(255, is_command=False, is_last=False, data=b"\xdd\xee"),
            Pdv(3, is_command=False, is_last=True, data=b""),
        )
    ),
)

DCMTK_RELEASE_RQ = Golden(
    "A-RELEASE-RQ captured from DCMTK's echoscu",
    from_key("05 00  00 00 00 04  00 00 00 00  # A-RELEASE-RQ, 4 bytes follow, reserved"),
    ReleaseRq(),
)

DCMTK_RELEASE_RP = Golden(
    "A-RELEASE-RP captured from DCMTK's storescp",
    from_key("06 00  00 00 00 04  00 00 00 00  # A-RELEASE-RP, 4 bytes follow, reserved"),
    ReleaseRp(),
)

DCMTK_ABORT = Golden(
    "A-ABORT captured from DCMTK's echoscu",
    from_key("07 00  00 00 00 04  00 00 00 00  # A-ABORT, reserved, service user"),
    Abort(0, 0),
)

PYNETDICOM_ABORT = Golden(
    "A-ABORT captured from pynetdicom",
    from_key("07 00  00 00 00 04  00 00 02 02  # A-ABORT, reserved, provider, unexpected PDU"),
    Abort(2, 2),
)

GOLDEN = (
    DCMTK_ECHO_RQ,
    DCMTK_IDENTITY_RQ,
    PYNETDICOM_RQ,
    LAYOUT_RQ,
    DCMTK_AC,
    PYNETDICOM_AC,
    PYNETDICOM_RJ,
    DCMTK_ECHO_COMMAND,
    LAYOUT_P_DATA,
    DCMTK_RELEASE_RQ,
    DCMTK_RELEASE_RP,
    DCMTK_ABORT,
    PYNETDICOM_ABORT,
)
