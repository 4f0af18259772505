"""Queries as others ask for them: the answers to an identifier, and the instances that it names.

No snapshot is held while somebody waits for a peer: which rows may match is found out at once, and
they are read some at a time.

Standard: PS3.4 C.4.1, C.4.2.2, C.4.3.2.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from dicom_actors import Status
from dicom_actors.archive.query.answers import Answers
from dicom_actors.archive.query.models import level_of_identifier, unique_keys
from dicom_actors.archive.query.plan import make_plan
from dicom_actors.errors import DimseFailure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from dicom_actors import DataSet
    from dicom_actors.archive.index import IndexReader, StoredInstance
    from dicom_actors.archive.query.models import Model
    from dicom_actors.archive.query.plan import Plan

__all__ = ["Settings", "find", "select"]

_FIRST_PAGE: Final = 4
_PAGE: Final = 64


class HasReaders(Protocol):
    """An index, as far as queries need it."""

    def reader(self) -> AbstractContextManager[IndexReader]:
        """Lend a snapshot."""


class Settings(NamedTuple):
    """How queries are answered.

    Attributes:
        max_matches: answers to one query; one more ends it with A700H.
        max_candidates: rows that are looked at for one query; one more ends it with A700H.
        max_instances: instances that are sent for one C-GET or C-MOVE; if it names more, none is.
        ignore_accents: whether letters of names match with and without their accents,
            and in either width.
        is_relational: whether unique keys of higher levels may be absent.
        combines_dates_and_times: whether a range of dates and one of times are one span.
        retrieve_ae_title: what answers have as Retrieve AE Title; empty: none.
    """

    max_matches: int = 100_000
    max_candidates: int = 5_000_000
    max_instances: int = 500_000
    ignore_accents: bool = True
    is_relational: bool = False
    combines_dates_and_times: bool = False
    retrieve_ae_title: str = ""


DEFAULTS: Final = Settings()


def find(
    index: HasReaders, identifier: DataSet, model: Model, settings: Settings = DEFAULTS
) -> Iterator[tuple[int, DataSet]]:
    """Answer a query.

    Args:
        index: where to look; an `Index`, or whatever lends readers of one.
        identifier: the keys.
        model: its information model.
        settings: how.

    Yields:
        The status (FF00H, or FF01H where there are keys of a lower level, which are not looked
        at), and the identifier of the response.

    Raises:
        DimseFailure: A900H, the identifier is none of the model; C000H, a key is none that can
            be matched; A700H, there are more matches than `max_matches`, after these.
        ArchiveError: the index cannot be read.
    """
    level = level_of_identifier(identifier, model)
    unique_keys(identifier, model, level, is_relational=settings.is_relational, retrieves=False)
    plan = make_plan(
        identifier,
        level,
        ignore_accents=settings.ignore_accents,
        combines_dates_and_times=settings.combines_dates_and_times,
    )
    answers = Answers(plan, identifier, settings.retrieve_ae_title)
    status = Status.PENDING_WITH_WARNING if plan.has_unsupported else Status.PENDING
    return ((status, answer) for answer in _answers(index, plan, answers, settings))


def _answers(
    index: HasReaders, plan: Plan, answers: Answers, settings: Settings
) -> Iterator[DataSet]:
    ids = array("q")
    with index.reader() as reader:
        for (number,) in reader.connection.rows(plan.statement, plan.parameters):
            ids.append(number)
            if len(ids) > settings.max_candidates:
                raise DimseFailure(Status.OUT_OF_RESOURCES, "too much to look at")
        found = list(answers.of(reader, ids[:_FIRST_PAGE]))
    count = 0
    # The first answers soon, the others many at a time.
    for start in (0, *range(_FIRST_PAGE, len(ids), _PAGE)):
        if start:
            with index.reader() as reader:
                found = list(answers.of(reader, ids[start : start + _PAGE]))
        for answer in found:
            if count == settings.max_matches:
                raise DimseFailure(Status.OUT_OF_RESOURCES, f"more than {count} matches")
            count += 1
            yield answer


# --- retrieval -----------------------------------------------------------------------------


def select(
    index: HasReaders, identifier: DataSet, model: Model, settings: Settings = DEFAULTS
) -> list[StoredInstance]:
    """Find the instances that an identifier for C-GET or C-MOVE names.

    Unique keys alone count.

    Args:
        index: where to look; an `Index`, or whatever lends readers of one.
        identifier: level and unique keys; that of the level may be a list.
        model: its information model.
        settings: how.

    Returns:
        The instances, those of a series together, in the order of their numbers.

    Raises:
        DimseFailure: A900H, the identifier is none of the model; A701H, it names more than
            `max_instances`.
        ArchiveError: the index cannot be read.
    """
    level = level_of_identifier(identifier, model)
    target = unique_keys(
        identifier, model, level, is_relational=settings.is_relational, retrieves=True
    )
    with index.reader() as reader:
        found = list(reader.named(target.uids, limit=settings.max_instances + 1))
    if len(found) > settings.max_instances:
        raise DimseFailure(Status.OUT_OF_RESOURCES_TO_COUNT_MATCHES, "too many instances")
    return found
