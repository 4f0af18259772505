"""Peers that keep the rules, and want every object and every question answered.

Senders: DCMTK's `storescu`, pynetdicom. An association that is aborted is no answer: they connect
again and repeat what was not answered, as real senders do. And users of our own, who ask for
matches, for instances, and for a normalized instance to be made.
"""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from kit.dcmtk import run
from kit.peer import CT_IMAGE

from dicom_actors import DataSet, DimseFailure, connect
from dicom_actors.errors import AssociationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.scu import Association

_PROGRAM = Path(__file__).with_name("pynetdicom_sender.py")
_SENT = re.compile(r"I: Sending file: (.*)")
_ANSWERED = re.compile(r"Received Store Response \((.*)\)")
_BATCH = 25
MAX_ATTEMPTS = 200
"""How often a sender tries again without a single answer before it gives up."""


class HonestSender(threading.Thread):
    """Sends files until each has a status.

    Args:
        name: its AE title.
        port: the endpoint's.
        files: what it sends, again and again with new names if the time is not over.

    Attributes:
        answers: for each file what its sender saw: whether it was Success.
        failures: sentences about what went wrong for good.
    """

    def __init__(self, name: str, port: int, files: Iterator[Path]) -> None:
        super().__init__(name=name, daemon=True)
        self.port = port
        self.files = files
        self.answers: dict[Path, bool] = {}
        self.failures: list[str] = []
        self.attempts = 0
        self.is_enough = threading.Event()

    def run(self) -> None:
        """Send batches until it is enough."""
        while not self.is_enough.is_set():
            batch = [path for path, _ in zip(self.files, range(_BATCH), strict=False)]
            left, tries = batch, 0
            while left and tries < MAX_ATTEMPTS:
                before = len(self.answers)
                self.attempts += 1
                self.send(left)
                left = [path for path in batch if path not in self.answers]
                tries = 0 if len(self.answers) > before else tries + 1
            if left:
                self.failures.append(f"{self.name}: no answer for {len(left)} objects")
                return

    def send(self, paths: list[Path]) -> None:
        """Send files on one association, and note the answers."""
        raise AssertionError(f"{self.name} cannot send {len(paths)} files")


class Storescu(HonestSender):
    """DCMTK's."""

    def send(self, paths: list[Path]) -> None:
        done = run(
            "storescu", "-v", "-nh", "-xe", "-to", 10, "-ta", 10, "-td", 10,
            "-aet", self.name, "-aec", "TEST", "127.0.0.1", self.port, *paths,
        )  # fmt: skip
        by_name = {str(path): path for path in paths}
        current: Path | None = None
        for line in (done.stdout + done.stderr).splitlines():
            if sent := _SENT.search(line):
                current = by_name[sent[1]]
            elif (answered := _ANSWERED.search(line)) and current is not None:
                self.answers[current] = answered[1] == "Success"


class Pynetdicom(HonestSender):
    """pynetdicom's."""

    def send(self, paths: list[Path]) -> None:
        done = run(sys.executable, _PROGRAM, self.name, self.port, *paths)
        by_name = {str(path): path for path in paths}
        for line in done.stdout.splitlines():
            status, _, name = line.partition(" ")
            self.answers[by_name[name]] = status == "0000"


MPPS = "1.2.840.10008.3.1.2.3.3"
MATCHES = 20
QUERY = DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID="*")
STEP = DataSet.from_keywords(PerformedProcedureStepStatus="IN PROGRESS", PatientID="7")


def matches() -> Iterator[DataSet]:
    """What a ``cfind`` handler answers to `Querier`."""
    for number in range(MATCHES):
        yield DataSet.from_keywords(StudyInstanceUID=f"1.2.{number}")


def instances() -> Iterator[DataSet]:
    """What a ``cget`` handler gives it."""
    for number in range(MATCHES):
        yield DataSet.from_keywords(
            SOPClassUID=CT_IMAGE, SOPInstanceUID=f"1.2.{number}", PixelData=bytes(number * 2_000)
        )


class Querier(threading.Thread):
    """Asks for matches, for instances, and for a step to be created, in turn.

    Each is answered with all that there is, or with a failure, or the association ends.

    Args:
        name: its AE title.
        port: the endpoint's.

    Attributes:
        answered: how many requests succeeded.
        failed: how many were answered with a failure.
        lost: how many associations ended or were refused.
        failures: sentences about what should never be.
    """

    def __init__(self, name: str, port: int) -> None:
        super().__init__(name=name, daemon=True)
        self.port = port
        self.answered = self.failed = self.lost = 0
        self.failures: list[str] = []
        self.is_enough = threading.Event()

    def run(self) -> None:
        """Ask until it is enough."""
        while not self.is_enough.is_set():
            try:
                with connect(
                    "127.0.0.1", self.port, called="TEST", calling=self.name, timeout=10.0
                ) as association:
                    self._ask(association)
            except AssociationError:
                self.lost += 1
            except Exception as error:
                self.failures.append(f"{self.name}: {error!r}")

    def _ask(self, association: Association) -> None:
        for _ in range(5):
            for question in (self._find, self._get, self._create):
                try:
                    question(association)
                except DimseFailure:
                    self.failed += 1
                else:
                    self.answered += 1

    def _find(self, association: Association) -> None:
        found = list(association.find(QUERY, model="study"))
        assert found == list(matches()), found

    def _get(self, association: Association) -> None:
        found = list(association.get(QUERY, model="study", sop_classes=[CT_IMAGE]))
        assert found == list(instances()), found

    def _create(self, association: Association) -> None:
        created = association.n_create(MPPS, None, STEP)
        assert created.data_set == STEP, created
