"""Queries whose answers come in an order, and some at a time: for those who turn pages.

The order is that in which the entities came, so what comes between two pages is behind the last
one, and no page repeats or skips anything because of it.

Standard: PS3.18 8.3.4.
"""

from __future__ import annotations

from array import array
from itertools import islice
from typing import TYPE_CHECKING, Final

from dicom_actors import Status
from dicom_actors.archive.query.answers import Answers, everything_of
from dicom_actors.archive.query.finding import Settings
from dicom_actors.archive.query.models import Model, level_of_identifier
from dicom_actors.archive.query.plan import make_plan
from dicom_actors.errors import DimseFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_actors import DataSet
    from dicom_actors.archive.index import IndexReader
    from dicom_actors.archive.query.finding import HasReaders

__all__ = ["find_page"]

_BATCH: Final = 64
_ALL: Final = (1 << 63) - 1
_DEFAULTS: Final = Settings()


def find_page(
    index: HasReaders,
    identifier: DataSet,
    *,
    offset: int = 0,
    limit: int | None = None,
    newest_first: bool = False,
    has_everything: bool = False,
    settings: Settings = _DEFAULTS,
) -> Iterator[DataSet]:
    """Answer a query on Study Root, relational, in the order in which the entities came.

    Args:
        index: where to look; an `Index`, or whatever lends readers of one.
        identifier: the keys, with a level.
        offset: how many answers are left out first.
        limit: how many there are at most; None: all. A page is of one moment; all are read some
            at a time.
        newest_first: whether the last one that came is the first.
        has_everything: whether answers have all that is known at their level.
        settings: how; an answer beyond `Settings.max_matches` is an error.

    Raises:
        DimseFailure: as `find` does.
        ArchiveError: the index cannot be read.
    """
    level = level_of_identifier(identifier, Model.STUDY_ROOT)
    plan = make_plan(identifier, level, ignore_accents=settings.ignore_accents)
    answers = Answers(plan, identifier, settings.retrieve_ae_title)
    direction = "DESC" if newest_first else "ASC"
    statement = f"{plan.statement} ORDER BY 1 {direction}"
    parameters = plan.parameters
    if _matches_everything(identifier):
        # Then rows are answers, and need not be looked at to be counted.
        statement += " LIMIT ? OFFSET ?"
        parameters = (*parameters, _ALL if limit is None else limit, offset)
        offset = 0

    def answers_of(reader: IndexReader, ids: Iterable[int]) -> Iterator[DataSet]:
        if not has_everything:
            yield from answers.of(reader, list(ids))
            return
        for number in ids:
            for answer in answers.of(reader, [number]):
                whole = everything_of(reader, level, number)
                whole.update(answer)
                yield whole

    if limit is not None:
        found: list[DataSet] = []
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

    def all_of_them() -> Iterator[DataSet]:
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
