"""The text that Prometheus reads: names, units and meanings of what is counted and looked at.

Needs prometheus-client (extra ``metrics``). Names follow the conventions of Prometheus: base units
(seconds, bytes) at the end of a name, ``_total`` for what only grows.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector

from dicom_actors.metrics.tally import BOUNDS
from dicom_actors.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from dicom_actors.archive import Stats
    from dicom_actors.metrics.observer import Condition, Observer
    from dicom_actors.metrics.tally import Totals

__all__ = ["exposition"]

_PREFIX: Final = "dicom_actors"
_DISK_STATES: Final = ("enough", "low", "full", "absent")


def exposition(observer: Observer) -> bytes:
    """Look at everything, and make the text of it (version 0.0.4, UTF-8)."""
    registry = CollectorRegistry()
    registry.register(_Collector(observer))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def describe(self) -> Iterator[Metric]:
        """Say nothing before it is asked: to look takes time."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Give all of it."""
        observer = self._observer
        condition = observer.look()
        info = InfoMetricFamily(f"{_PREFIX}_build", "The version that runs")
        info.add_metric([], {"version": __version__})
        yield info
        yield _gauge("start_time_seconds", "When it started, seconds since 1970", observer.started)
        yield _gauge(
            "healthy",
            "1 if associations are accepted and objects can be stored, as /health says",
            condition.is_healthy,
        )
        yield from _of_requests(observer.tally.totals())
        yield from _of_condition(condition)
        yield _counter(
            "log_lines_dropped",
            "Lines that were dropped as nobody read them",
            observer.dropped_lines(),
        )


def _of_requests(totals: Totals) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        f"{_PREFIX}_requests",
        "Requests that were answered, by service and by the status sent (hexadecimal)",
        labels=["service", "status"],
    )
    received = CounterMetricFamily(
        f"{_PREFIX}_request_bytes",
        "Bytes of data sets that came with requests",
        labels=["service"],
    )
    durations = HistogramMetricFamily(
        f"{_PREFIX}_request_duration_seconds",
        "From the complete request to its final response, seconds",
        labels=["service"],
    )
    for name, service in totals.services.items():
        for status, count in service.statuses.items():
            requests.add_metric([name, f"{status:04X}"], count)
        received.add_metric([name], service.bytes)
        buckets, so_far = [], 0
        for bound, count in zip((*BOUNDS, "+Inf"), service.durations, strict=True):
            so_far += count
            buckets.append((str(bound), float(so_far)))
        durations.add_metric([name], buckets, service.seconds)
    yield requests
    yield received
    yield durations
    yield _counter("associations_accepted", "Associations that were accepted", totals.opened)
    for name, meaning, label, counts in (
        ("connections_closed", "Connections that ended, by the reason", "reason", totals.closed),
        (
            "actor_crashes",
            "Actors that ended abnormally, by what they are",
            "actor",
            totals.crashes,
        ),
        ("limits_reached", "Limits of the configuration that were met", "limit", totals.limits),
    ):
        family = CounterMetricFamily(f"{_PREFIX}_{name}", meaning, labels=[label])
        for key, count in counts.items():
            family.add_metric([key], count)
        yield family


def _of_condition(condition: Condition) -> Iterator[Metric]:
    status = condition.status
    restarts = CounterMetricFamily(
        f"{_PREFIX}_actor_restarts", "Restarts of actors, by their tree", labels=["tree"]
    )
    if status is not None:
        restarts.add_metric(["endpoint"], status.restarts)
        yield _gauge("associations_open", "Connections that are open", status.associations)
        yield _gauge("accepting", "1 if associations are accepted", status.state == "running")
        yield _counter(
            "connections_opened", "Connections since the start", status.associations_opened
        )
        yield _counter(
            "events_dropped",
            "Events that a subscriber, or all, did not get as too many waited",
            status.dropped_events,
        )
        yield _counter(
            "log_records_dropped",
            "Records of the log that were dropped as too many waited",
            status.dropped_log_records,
        )
        yield _gauge(
            "handlers_disowned",
            "Handlers that were given up and still run",
            status.disowned_handlers,
        )
    if condition.actors:
        restarts.add_metric(["archive"], sum(actor.restarts for actor in condition.actors))
        queues = GaugeMetricFamily(
            f"{_PREFIX}_queue_length",
            "Messages that wait in the inbox of an actor of the archive",
            labels=["actor"],
        )
        for actor in condition.actors:
            queues.add_metric([actor.name], actor.queue_length)
        yield queues
    yield restarts
    if condition.free_bytes is not None:
        yield _gauge("disk_free_bytes", "Room on the disk of the folder", condition.free_bytes)
    disk = GaugeMetricFamily(
        f"{_PREFIX}_disk_state", "1 for how the disk is, 0 for the others", labels=["state"]
    )
    for state in _DISK_STATES:
        disk.add_metric([state], condition.disk == state)
    yield disk
    if condition.stats is not None:
        yield from _of_archive(condition.stats)
    yield from _of_queues(condition)
    if condition.outbox is not None:
        yield _gauge("outbox_events", "Events that wait for the engine", condition.outbox.waiting)
        yield _counter(
            "outbox_events_dropped",
            "Events that were dropped, since as many waited as may",
            condition.outbox.dropped,
        )


def _of_queues(condition: Condition) -> Iterator[Metric]:
    rows = GaugeMetricFamily(
        f"{_PREFIX}_destination_objects",
        "What is to be sent on, by destination: waiting, committing (sent, storage commitment is"
        " awaited) or set_aside",
        labels=["destination", "state"],
    )
    oldest = GaugeMetricFamily(
        f"{_PREFIX}_destination_oldest_seconds",
        "How long the oldest that waits has waited, seconds",
        labels=["destination"],
    )
    paused = GaugeMetricFamily(
        f"{_PREFIX}_destination_paused", "1 if somebody has paused it", labels=["destination"]
    )
    delivered = CounterMetricFamily(
        f"{_PREFIX}_destination_delivered",
        "What was sent on, since there is the archive",
        labels=["destination"],
    )
    now = time.time()
    for queue in condition.queues:
        name = queue.destination
        for state in ("waiting", "committing", "set_aside"):
            rows.add_metric([name, state], getattr(queue, state))
        age = 0.0 if queue.oldest is None else max(now - queue.oldest, 0.0)
        oldest.add_metric([name], age)
        paused.add_metric([name], queue.is_paused)
        delivered.add_metric([name], queue.delivered)
    yield from (rows, oldest, paused, delivered)


def _of_archive(stats: Stats) -> Iterator[Metric]:
    for name, meaning in (
        ("patients", "Patients in the archive"),
        ("studies", "Studies in the archive"),
        ("series", "Series in the archive"),
        ("instances", "Instances in the archive"),
        ("bytes", "Bytes of the archive's files"),
    ):
        yield _gauge(f"archive_{name}", meaning, getattr(stats, name))
    yield _gauge("journal_bytes", "Bytes of journals, which become files", stats.journal_bytes)
    yield _gauge("incoming_files", "Files that have no place yet", stats.incoming_files)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", meaning, value=float(value))


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(f"{_PREFIX}_{name}", meaning, value=float(value))
