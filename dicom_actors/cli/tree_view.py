"""The supervision tree on a terminal: with rich where it is installed, else as plain text."""

from __future__ import annotations

import contextlib
import sys
from typing import Any, Self

from dicom_actors.cli.terminal import counted

__all__ = ["TreeView", "tree_lines"]


class TreeView(contextlib.AbstractContextManager["TreeView"]):
    """Shows a tree, and the next one in its place."""

    def __init__(self) -> None:
        self._live: Any = None
        if sys.stdout.isatty():
            with contextlib.suppress(ImportError):
                from rich.live import Live

                self._live = Live(auto_refresh=False)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        if self._live is not None:
            self._live.__exit__(*details)

    def show(self, tree: dict[str, Any], status: dict[str, Any]) -> None:
        """Show the tree of `messages.GetTree` with the numbers of `messages.GetStatus`."""
        head = (
            f"{status['state']}, port {status['port']}, "
            f"{counted(status['associations'], 'association')}, "
            f"{counted(status['requests'], 'request')}, {counted(status['restarts'], 'restart')}"
        )
        if self._live is None:
            print("\n".join([head, *tree_lines(tree)]), flush=True)
        else:
            self._live.update(_rich(tree, head), refresh=True)


def tree_lines(node: dict[str, Any], first: str = "", rest: str = "") -> list[str]:
    """The tree as lines of text."""
    lines = [f"{first}{_line(node)}"]
    children = node["children"]
    for number, child in enumerate(children, start=1):
        last = number == len(children)
        lines += tree_lines(
            child, rest + ("└── " if last else "├── "), rest + ("    " if last else "│   ")
        )
    return lines


def _line(node: dict[str, Any]) -> str:
    parts = [f"{node['name']:<28} {node['state']:<10}"]
    if node["restarts"]:
        parts.append(counted(node["restarts"], "restart"))
    if node["queue_length"]:
        parts.append(f"{node['queue_length']} waiting")
    if node["idle_seconds"] is not None:
        parts.append(f"idle {node['idle_seconds']:.1f} s")
    if node["last_error"]:
        parts.append(f"last error: {node['last_error']}")
    return "  ".join(parts).rstrip()


def _rich(node: dict[str, Any], head: str) -> Any:
    from rich.text import Text
    from rich.tree import Tree

    def styled(one: dict[str, Any]) -> Text:
        troubled = one["last_error"] or one["state"] != "running"
        return Text(_line(one), style="yellow" if troubled else "")

    def add(branch: Tree, one: dict[str, Any]) -> None:
        for child in one["children"]:
            add(branch.add(styled(child)), child)

    root = Tree(Text(head, style="bold"))
    add(root.add(styled(node)), node)
    return root
