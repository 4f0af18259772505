"""``dicom-actors find PEER KEY=VALUE...``: what a peer has that matches (C-FIND, PS3.4 C.4.1)."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from typing import TYPE_CHECKING, Any

from dicom_actors.cli.connecting import associated, peer_of, web_client
from dicom_actors.cli.keys import query_for
from dicom_actors.cli.last_result import add_unique_keys, keep_result
from dicom_actors.cli.match_table import TableColumn, show_table
from dicom_actors.cli.models import sop_class_of
from dicom_actors.cli.progress import progress
from dicom_actors.cli.terminal import (
    complain,
    counted,
    print_plain_table,
    say,
    show_anything,
)
from dicom_actors.cli.usage import UsageError
from dicom_actors.data.dataset.data_set import Sequence
from dicom_actors.data.dictionary import vr_of
from dicom_actors.data.forms.text import printable, value_text
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from dicom_actors.cli.keys import Column, Query
    from dicom_actors.data import DataElement, DataSet
    from dicom_actors.scu import Operation

__all__ = ["find"]


def find(options: Namespace) -> int:
    """Print the matches, as a table, as JSON or as CSV.

    Returns:
        0, or 1 if a match cannot be printed.

    Raises:
        UsageError: the keys are wrong, or options contradict each other.
        DimseFailure: the peer says that it cannot answer.
        AssociationError: there is no association, or it was lost.
    """
    if options.json and options.csv:
        raise UsageError("expected --json or --csv, got both")
    query = query_for(options.keys, options.level, options.model, options.columns or ())
    if not (options.json or options.csv):
        add_unique_keys(query.identifier)
    peer = peer_of(options)
    level = str(query.identifier.get("QueryRetrieveLevel") or "")
    if peer.url is not None and level not in {"STUDY", "SERIES", "IMAGE"}:
        raise UsageError(f"by HTTP: expected the level STUDY, SERIES or IMAGE, got {level or None}")
    sop_class = (
        "" if peer.url is not None else sop_class_of(options.model, "C-FIND", query.identifier)
    )
    show_anything()
    if not (options.json or options.csv):
        return _print_table(options, query, sop_class)
    with _asked(options, query, sop_class) as matches:
        return _print_json(matches) if options.json else _print_csv(matches, query.columns)


@contextlib.contextmanager
def _asked(options: Namespace, query: Query, sop_class: str) -> Iterator[Iterator[DataSet]]:
    peer = peer_of(options)
    if peer.url is not None:
        level = str(query.identifier.get("QueryRetrieveLevel"))
        with web_client(options, peer) as client:
            yield client.find(level, query.identifier, limit=options.limit)
        return
    with (
        associated(options, contexts=(sop_class,)) as association,
        contextlib.closing(association.find(query.identifier, model=sop_class)) as found,
    ):
        yield _limited(found, options.limit)


def _limited(found: Operation[DataSet], limit: int | None) -> Iterator[DataSet]:
    """Give the matches; the query is cancelled when there are as many as are wanted."""
    for number, match in enumerate(found, start=1):
        yield match
        if number == limit:
            found.close()
            return


def _print_json(matches: Iterator[DataSet]) -> int:
    code = 0
    for match in matches:
        try:
            line = json.dumps(match.to_json_dict(), allow_nan=False)
        except (DicomError, ValueError) as error:
            complain(f"a match cannot be printed: {error}")
            code = 1
        else:
            print(line, flush=True)
    return code


def _print_csv(matches: Iterator[DataSet], columns: list[Column]) -> int:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([column.heading for column in columns])
    for match in matches:
        writer.writerow([_cell(match, column) for column in columns])
    return 0


def _print_table(options: Namespace, query: Query, sop_class: str) -> int:
    found: list[DataSet] = []
    try:
        # The association is over before anybody reads: a page may be looked at for hours.
        with (
            _asked(options, query, sop_class) as matches,
            progress(options, nouns="matches") as bar,
        ):
            for match in matches:
                found.append(match)
                bar.add()
    except DicomError:
        # What came before a failure is still worth to be seen.
        if found:
            _show(options, found, query)
        raise
    _show(options, found, query)
    say(counted(len(found), "match", "matches"))
    return 0


def _show(options: Namespace, found: list[DataSet], query: Query) -> None:
    keep_result(peer_of(options).address, query.identifier, found)
    if not found:
        return
    if not sys.stdout.isatty():
        rows = [[_cell(match, column) for column in query.columns] for match in found]
        print_plain_table([column.heading for column in query.columns], rows)
        return
    show_table([_table_column(column, found) for column in query.columns])


def _table_column(column: Column, found: list[DataSet]) -> TableColumn:
    return TableColumn(
        column.heading,
        [_cell(match, column) for match in found],
        is_uid=vr_of(column.tags[-1]) == "UI",
        is_wanted=column.is_wanted,
    )


def _cell(match: DataSet, column: Column) -> str:
    """The values of a key as text; those of several items one behind the other."""
    holders: list[Any] = [match]
    for tag in column.tags[:-1]:
        items = [holder.get(tag) for holder in holders]
        holders = [item for each in items if isinstance(each, Sequence) for item in each]
    tag = column.tags[-1]
    return "; ".join(_text(holder.fetch(tag)) for holder in holders if tag in holder)


def _text(element: DataElement) -> str:
    if element.vr != "UI":
        return value_text(element, width=None)
    # Without its name in words, which would be no value any more.
    value = element.value
    return printable("\\".join(map(str, value)) if isinstance(value, list) else str(value or ""))
