"""What tests of de-identification use."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from kit.patients import KEY

from dicom_actors.deidentification import Deidentifier, Rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors import DataSet


@pytest.fixture
def clean() -> Callable[..., DataSet]:
    """De-identify a data set with options and settings."""

    def clean(data_set: DataSet, *options: str, **settings: Any) -> DataSet:
        return Deidentifier("basic", options, salt=KEY, **settings).deidentify(data_set)

    return clean


@pytest.fixture
def rules() -> Callable[[str], Rules]:
    """Read rules, indented as they may be."""
    return lambda text: Rules.from_toml(dedent(text))
