"""What was done to data sets, in counts and keywords, never in values."""

from __future__ import annotations

from collections import Counter
from typing import Any

__all__ = ["Report"]


class Report:
    """What was done to some data sets.

    Attributes:
        instances: how many data sets.
        actions: how many elements each action was taken for: ``"removed"``, ``"emptied"``,
            ``"replaced"`` (by a dummy or pseudonym), ``"uid"``, ``"cleaned"``, ``"kept"`` (though
            the basic profile would not).
        kept: how often an element was kept or cleaned where the basic profile would remove or
            replace it, by its label and why.
        unjudged: how often something could not be judged, by its label and why.
    """

    __slots__ = ("actions", "instances", "kept", "unjudged")

    def __init__(self) -> None:
        self.instances = 0
        self.actions: Counter[str] = Counter()
        self.kept: Counter[tuple[str, str]] = Counter()
        self.unjudged: Counter[tuple[str, str]] = Counter()

    def add(self, other: Report) -> None:
        """Add what another one counted."""
        self.instances += other.instances
        self.actions.update(other.actions)
        self.kept.update(other.kept)
        self.unjudged.update(other.unjudged)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "instances": self.instances,
            "actions": dict(sorted(self.actions.items())),
            "kept": _listed(self.kept),
            "unjudged": _listed(self.unjudged),
        }


def _listed(counts: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"element": label, "why": why, "count": count}
        for (label, why), count in sorted(counts.items())
    ]
