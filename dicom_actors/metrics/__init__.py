"""How a running endpoint is, in numbers: counted, looked at, judged, and served over HTTP.

::

    from dicom_actors.metrics import Observer, serve_metrics

    observer = Observer(endpoint, archive)            # or without an archive
    server = serve_metrics(observer, "127.0.0.1", 9104)
    ...
    server.close()
    observer.close()

`tally` counts what the endpoint tells its subscribers. `observer` looks, when somebody asks, at the
endpoint, the archive and the disk, and judges whether objects can be stored. `exposition` makes
of both the text that Prometheus reads (extra ``metrics``: prometheus-client). `http_server` serves
that as ``/metrics``, and the judgment as ``/health``. None of it holds patient data, and none of it
costs an association anything.

Way down: `http_server`, `exposition` > `observer` > `tally`.
"""

from __future__ import annotations

from dicom_actors.metrics.http_server import MetricsServer, serve_metrics
from dicom_actors.metrics.observer import Condition, Observer
from dicom_actors.metrics.tally import ServiceCount, Tally, Totals

__all__ = [
    "Condition",
    "MetricsServer",
    "Observer",
    "ServiceCount",
    "Tally",
    "Totals",
    "serve_metrics",
]
