"""Queries whose answers come in an order, and some at a time: for those who turn pages.

The order is that in which the entities came, so what comes between two pages is behind the last
one, and no page repeats or skips anything because of it.

Standard: PS3.18 8.3.4.
"""

from __future__ import annotations

from array import array
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from dicom_actors import Status
from dicom_actors.archive.query.answers import Answers, everything_of
from dicom_actors.archive.query.finding import Settings
from dicom_actors.archive.query.json_answers import JsonAnswers
from dicom_actors.archive.query.models import Model, level_of_identifier
from dicom_actors.archive.query.plan import make_plan
from dicom_actors.errors import DimseFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dicom_actors import DataSet
    from dicom_actors.archive.index import IndexReader
    from dicom_actors.archive.query.finding import HasReaders
    from dicom_actors.archive.query.json_answers import Address
    from dicom_actors.archive.query.plan import Plan

__all__ = ["Paging", "find_page", "find_page_as_json"]

_Answer = TypeVar("_Answer")

_BATCH: Final = 64
_ALL: Final = (1 << 63) - 1
_DEFAULTS: Final = Settings()


class Paging(NamedTuple):
    """Which answers are wanted.

    Attributes:
        offset: how many answers are left out first.
        limit: how many there are at most; None: all. A page is of one moment; all are read some
            at a time.
        newest_first: whether the last one that came is the first.
    """

    offset: int = 0
    limit: int | None = None
    newest_first: bool = False


_FIRST: Final = Paging()


def find_page(
    index: HasReaders,
    identifier: DataSet,
    paging: Paging = _FIRST,
    *,
    has_everything: bool = False,
    settings: Settings = _DEFAULTS,
) -> Iterator[DataSet]:
    """Answer a query on Study Root, relational, in the order in which the entities came.

    Args:
        index: where to look; an `Index`, or whatever lends readers of one.
        identifier: the keys, with a level.
        paging: which answers.
        has_everything: whether answers have all that is known at their level.
        settings: how; an answer beyond `Settings.max_matches` is an error.

    Raises:
        DimseFailure: as `find` does.
        ArchiveError: the index cannot be read.
    """
    answers = _answers_to(identifier, settings)

    def answers_of(reader: IndexReader, ids: Sequence[int]) -> Iterator[DataSet]:
        if not has_everything:
            yield from answers.of(reader, ids)
            return
        for number in ids:
            for answer in answers.of(reader, [number]):
                whole = everything_of(reader, answers.plan.level, number)
                whole.update(answer)
                yield whole

    return _paged(index, identifier, answers.plan, paging, settings, answers_of)


def find_page_as_json(
    index: HasReaders,
    identifier: DataSet,
    paging: Paging = _FIRST,
    *,
    address: Address,
    settings: Settings = _DEFAULTS,
) -> Iterator[str]:
    """Answer a query as `find_page` does, with text in the DICOM JSON Model.

    Args:
        index: as for `find_page`.
        identifier: likewise; its text is in ISO_IR 192.
        paging: likewise.
        address: gives Retrieve URL for the UIDs of study, series and instance, as many as there
            are.
        settings: likewise.

    Raises:
        DimseFailure: as `find` does.
        ArchiveError: the index cannot be read.
    """
    answers = _answers_to(identifier, settings)
    texts = JsonAnswers(answers, identifier, address)
    return _paged(index, identifier, answers.plan, paging, settings, texts.of)


def _answers_to(identifier: DataSet, settings: Settings) -> Answers:
    level = level_of_identifier(identifier, Model.STUDY_ROOT)
    plan = make_plan(identifier, level, ignore_accents=settings.ignore_accents)
    return Answers(plan, identifier, settings.retrieve_ae_title)


def _paged(
    index: HasReaders,
    identifier: DataSet,
    plan: Plan,
    paging: Paging,
    settings: Settings,
    answers_of: Callable[[IndexReader, Sequence[int]], Iterator[_Answer]],
) -> Iterator[_Answer]:
    offset, limit, newest_first = paging
    direction = "DESC" if newest_first else "ASC"
    statement = f"{plan.statement} ORDER BY 1 {direction}"
    parameters = plan.parameters
    if _matches_everything(identifier):
        # Then rows are answers, and need not be looked at to be counted.
        statement += " LIMIT ? OFFSET ?"
        parameters = (*parameters, _ALL if limit is None else limit, offset)
        offset = 0
    if limit is not None:
        found: list[_Answer] = []
        with index.reader() as reader:
            rows = (number for (number,) in reader.connection.rows(statement, parameters))
            skipped = 0
            while len(found) < limit and (ids := list(islice(rows, _BATCH))):
                for answer in answers_of(reader, ids):
                    if skipped < offset:
                        skipped += 1
                    elif len(found) < limit:
                        found.append(answer)
        return iter(found)
    numbers = array("q")
    with index.reader() as reader:
        for (number,) in reader.connection.rows(statement, parameters):
            numbers.append(number)
            if len(numbers) > settings.max_candidates:
                raise DimseFailure(Status.OUT_OF_RESOURCES, "too much to look at")

    def all_of_them() -> Iterator[_Answer]:
        count = 0
        for start in range(0, len(numbers), _BATCH):
            with index.reader() as reader:
                found = list(answers_of(reader, numbers[start : start + _BATCH]))
            for answer in found:
                count += 1
                if count > offset:
                    yield answer
                if count - offset >= settings.max_matches:
                    return

    return all_of_them()


def _matches_everything(identifier: DataSet) -> bool:
    """Whether there is no key with a value, but for what says how to answer."""
    return all(
        element.is_empty or element.keyword in {"QueryRetrieveLevel", "SpecificCharacterSet"}
        for element in identifier.elements()
    )
