"""Fault injection for tests of endpoints, also those of host applications.

::

    from dicom_actors.testing import crash_at

    with crash_at(endpoint, "association.dispatch"):
        ...  # the next message makes its Association crash; its sender notices one failure at most
"""

from dicom_actors.actors.fault_points import CRASH_POINTS, InjectedCrash
from dicom_actors.testing.crash_points import crash_at

__all__ = ["CRASH_POINTS", "InjectedCrash", "crash_at"]
