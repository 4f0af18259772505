"""Events into an engine, and work out of it: NATS JetStream (the extra ``nats``).

::

    from dicom_actors.engine import EventStream

    stream = EventStream.start(archive, ["nats://engine.example.org:4222"])

Each event of an archive is written to the outbox of its index in the transaction that it tells of
(`dicom_actors.archive.index.outbox`). An actor takes it from there and removes it once the stream
has it (`publisher`); each message has an id by which the stream knows one that came twice. On
other machines a worker takes messages from the stream and calls a handler or a program for each
(`worker`); one is acknowledged when that has succeeded, comes again when it has not, and is set
aside in a stream of its own when it never does.

Way down: `publisher`, `worker` > `link`, `messages` > `settings`. asyncio, in which nats-py is
written, lives in a thread of `link`.
"""

from __future__ import annotations

from dicom_actors.engine.publisher import EventStream, StreamStatus
from dicom_actors.engine.settings import EngineSettings
from dicom_actors.engine.worker import Job, Worker, WorkerStatus

__all__ = ["EngineSettings", "EventStream", "Job", "StreamStatus", "Worker", "WorkerStatus"]
