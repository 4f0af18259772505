"""What rejections, aborts and answers to presentation contexts say, as numbers and in words.

A rejection's result, source and reason belong together: `Reject` holds the triples that the
standard defines, so that no other can be sent. What a peer sent may be any number, and
`describe_reject` and `describe_abort` take any. Standard: PS3.8 9.3.3.2, 9.3.4, 9.3.8.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final

__all__ = ["ABORT_REASONS", "ContextResult", "Reject", "describe_abort", "describe_reject"]


class Reject(Enum):
    """A reason to refuse an association: (result, source, reason) of an A-ASSOCIATE-RJ.

    A plain name has the result that fits it: permanent where asking again will not help,
    transient where it may; the other one has a name that says so. Standard: PS3.8 table 9-21.
    """

    NO_REASON = (1, 1, 1)
    APPLICATION_CONTEXT_NOT_SUPPORTED = (1, 1, 2)
    CALLING_AE_TITLE_NOT_RECOGNIZED = (1, 1, 3)
    CALLED_AE_TITLE_NOT_RECOGNIZED = (1, 1, 7)
    ACSE_NO_REASON = (1, 2, 1)
    PROTOCOL_VERSION_NOT_SUPPORTED = (1, 2, 2)
    TEMPORARY_CONGESTION_PERMANENT = (1, 3, 1)
    LOCAL_LIMIT_EXCEEDED_PERMANENT = (1, 3, 2)
    NO_REASON_TRANSIENT = (2, 1, 1)
    APPLICATION_CONTEXT_NOT_SUPPORTED_TRANSIENT = (2, 1, 2)
    CALLING_AE_TITLE_NOT_RECOGNIZED_TRANSIENT = (2, 1, 3)
    CALLED_AE_TITLE_NOT_RECOGNIZED_TRANSIENT = (2, 1, 7)
    ACSE_NO_REASON_TRANSIENT = (2, 2, 1)
    PROTOCOL_VERSION_NOT_SUPPORTED_TRANSIENT = (2, 2, 2)
    TEMPORARY_CONGESTION = (2, 3, 1)
    LOCAL_LIMIT_EXCEEDED = (2, 3, 2)

    @property
    def result(self) -> int:
        """1 permanent, 2 transient."""
        return self.value[0]

    @property
    def source(self) -> int:
        """1 service user, 2 service provider (ACSE), 3 service provider (presentation)."""
        return self.value[1]

    @property
    def reason(self) -> int:
        """The reason, by source."""
        return self.value[2]

    @property
    def sentence(self) -> str:
        """The rejection in words."""
        return describe_reject(*self.value)


class ContextResult(IntEnum):
    """The answer to one proposed presentation context. Standard: PS3.8 table 9-18."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


# The reasons that a service provider may give for an A-ABORT; 3 is reserved.
ABORT_REASONS: Final[dict[int, str]] = {
    0: "reason not specified",
    1: "unrecognized PDU",
    2: "unexpected PDU",
    4: "unrecognized PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}

_RESULTS: Final = {1: "rejected permanently", 2: "rejected for now"}
_SOURCES: Final = {
    1: "the service user",
    2: "the service provider (ACSE)",
    3: "the service provider (presentation)",
}
_REASONS: Final = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


def describe_reject(result: int, source: int, reason: int) -> str:
    """Return an A-ASSOCIATE-RJ in words.

    Args:
        result: 1 or 2; any other number is shown as it is.
        source: 1 to 3; likewise.
        reason: by source; likewise.

    Returns:
        For example ``"rejected permanently by the service user: no reason given (1/1/1)"``.
    """
    return (
        f"{_RESULTS.get(result, f'rejected with result {result}')}"
        f" by {_SOURCES.get(source, f'source {source}')}:"
        f" {_REASONS.get((source, reason), f'reserved reason {reason}')}"
        f" ({result}/{source}/{reason})"
    )


def describe_abort(source: int, reason: int) -> str:
    """Return an A-ABORT in words.

    Args:
        source: 0 service user, 2 service provider; any other number is shown as it is.
        reason: for source 2, a key of `ABORT_REASONS`; likewise.

    Returns:
        For example ``"aborted by the service provider: unexpected PDU (2/2)"``.
    """
    if source == 0:
        return "aborted by the service user"
    by = "the service provider" if source == 2 else f"source {source}"
    why = ABORT_REASONS.get(reason, f"reserved reason {reason}")
    return f"aborted by {by}: {why} ({source}/{reason})"
