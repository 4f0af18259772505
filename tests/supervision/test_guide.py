"""The example in the package's guide runs."""

from __future__ import annotations

import textwrap

import dicom_actors.supervision as package


def example():
    """The indented block after the first "::" of the guide."""
    _, _, rest = package.__doc__.partition("::\n\n")
    lines = []
    for line in rest.splitlines():
        if line and not line.startswith("    "):
            break
        lines.append(line)
    return textwrap.dedent("\n".join(lines))


def test_the_example_runs():
    code = example()
    assert code.count("assert ") == 3
    exec(compile(code, "the guide", "exec"), {})


def test_every_name_of_the_interface_exists():
    for name in package.__all__:
        assert getattr(package, name) is not None
