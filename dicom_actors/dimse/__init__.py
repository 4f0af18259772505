"""DIMSE messages: commands, statuses, assembly and fragmentation. PS3.7.

Pure: bytes and presentation data values in, messages out, and the reverse. Knows nothing of
sockets, threads or time.
"""

from dicom_actors.dimse.assembler import (
    CommandReceived,
    DataReceived,
    MessageAssembler,
    MessageLimits,
    Partial,
)
from dicom_actors.dimse.command import (
    NO_DATA_SET,
    Command,
    CommandElement,
    CommandField,
    decode_command,
    encode_command,
)
from dicom_actors.dimse.command_shapes import CommandDecoder, CommandShapes
from dicom_actors.dimse.context_check import context_mismatch, operation_mismatch
from dicom_actors.dimse.fragmenter import fragment, fragment_message
from dicom_actors.dimse.outcome import (
    SubOperations,
    error_comment,
    status_service,
    sub_operations,
)
from dicom_actors.dimse.request import attribute_identifier_list, encode_cancel, encode_request
from dicom_actors.dimse.response import ResponseEncoder, ResponseTemplates, encode_response
from dicom_actors.dimse.status import Status, StatusCategory, category_of
from dicom_actors.dimse.status_elements import (
    StatusElements,
    failure_elements,
    read_failure_elements,
    read_status_elements,
)
from dicom_actors.dimse.status_words import STATUS_SERVICES, describe_status
from dicom_actors.dimse.tally import Tally

__all__ = [
    "NO_DATA_SET",
    "STATUS_SERVICES",
    "Command",
    "CommandDecoder",
    "CommandElement",
    "CommandField",
    "CommandReceived",
    "CommandShapes",
    "DataReceived",
    "MessageAssembler",
    "MessageLimits",
    "Partial",
    "ResponseEncoder",
    "ResponseTemplates",
    "Status",
    "StatusCategory",
    "StatusElements",
    "SubOperations",
    "Tally",
    "attribute_identifier_list",
    "category_of",
    "context_mismatch",
    "decode_command",
    "describe_status",
    "encode_cancel",
    "encode_command",
    "encode_request",
    "encode_response",
    "error_comment",
    "failure_elements",
    "fragment",
    "fragment_message",
    "operation_mismatch",
    "read_failure_elements",
    "read_status_elements",
    "status_service",
    "sub_operations",
]
