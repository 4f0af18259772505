"""A picture in the terminal: by kitty's graphics, by sixels, or in half blocks.

Whether it has kitty's graphics the terminal's name says; whether it has sixels, it is asked
(primary device attributes). Where standard output is no terminal, half blocks of 80 columns come
out, which a pager can show.
"""

from __future__ import annotations

import base64
import os
import re
import selectors
import shutil
import sys
from io import BytesIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["half_blocks", "kitty", "show_picture", "sixels"]

_KITTY_CHUNK: Final = 4096
_ANSWER_SECONDS: Final = 0.3
_DEVICE_ATTRIBUTES: Final = "\x1b[c"
_SIXEL: Final = "4"
_HIGHEST: Final = 480
_COLORS: Final = 64


def show_picture(picture: Image) -> None:
    """Print a picture."""
    if not sys.stdout.isatty():
        print(half_blocks(picture, 80, 40))
        return
    size = shutil.get_terminal_size()
    if _is_kitty():
        print(kitty(picture))
    elif _has_sixels():
        print(sixels(picture))
    else:
        print(half_blocks(picture, size.columns, max(size.lines - 2, 4)))


def _is_kitty() -> bool:
    return (
        "KITTY_WINDOW_ID" in os.environ
        or os.environ.get("TERM") in {"xterm-kitty", "xterm-ghostty"}
        or os.environ.get("TERM_PROGRAM") in {"WezTerm", "ghostty"}
    )


def _has_sixels() -> bool:
    """Ask the terminal, and wait a moment for the answer."""
    if not sys.stdin.isatty() or sys.platform == "win32":
        return False
    import termios
    import tty

    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    answer = b""
    try:
        tty.setcbreak(handle)
        sys.stdout.write(_DEVICE_ATTRIBUTES)
        sys.stdout.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(handle, selectors.EVENT_READ)
            while b"c" not in answer and selector.select(_ANSWER_SECONDS):
                part = os.read(handle, 64)
                if not part:
                    break
                answer += part
    finally:
        termios.tcsetattr(handle, termios.TCSANOW, before)
    match = re.search(rb"\x1b\[\?([\d;]+)c", answer)
    return match is not None and _SIXEL in match.group(1).decode().split(";")


def half_blocks(picture: Image, columns: int, lines: int) -> str:
    """Return a picture as text with two pixels in each character, in 24-bit colors.

    Args:
        picture: the picture.
        columns: how wide it may become, in characters.
        lines: how high.
    """
    small = picture.convert("RGB")
    small.thumbnail((columns, 2 * lines))
    width, height = small.size
    pixels = small.tobytes()

    def color(column: int, row: int) -> str:
        if row >= height:
            return "0;0;0"
        at = 3 * (row * width + column)
        return f"{pixels[at]};{pixels[at + 1]};{pixels[at + 2]}"

    text = []
    for row in range(0, height, 2):
        cells = [
            f"\x1b[38;2;{color(column, row)}m\x1b[48;2;{color(column, row + 1)}m\u2580"
            for column in range(width)
        ]
        text.append("".join(cells) + "\x1b[0m")
    return "\n".join(text)


def kitty(picture: Image) -> str:
    """Return what draws a picture by kitty's graphics protocol."""
    data = BytesIO()
    picture.save(data, "PNG", compress_level=1, compress_type=3)
    text = base64.standard_b64encode(data.getvalue()).decode()
    chunks = [text[at : at + _KITTY_CHUNK] for at in range(0, len(text), _KITTY_CHUNK)]
    parts = []
    for number, chunk in enumerate(chunks):
        control = "a=T,f=100," if number == 0 else ""
        parts.append(f"\x1b_G{control}m={int(number < len(chunks) - 1)};{chunk}\x1b\\")
    return "".join(parts)


def sixels(picture: Image) -> str:
    """Return what draws a picture in sixels, six rows of pixels at a time (DEC STD 070)."""
    small = picture.copy()
    small.thumbnail((_HIGHEST * 2, _HIGHEST))
    indexed = small.convert("RGB").quantize(_COLORS)
    palette = indexed.getpalette() or []
    width, height = indexed.size
    pixels = indexed.tobytes()
    out = ["\x1bPq", f'"1;1;{width};{height}']
    for color in range(len(palette) // 3):
        red, green, blue = (part * 100 // 255 for part in palette[3 * color : 3 * color + 3])
        out.append(f"#{color};2;{red};{green};{blue}")
    for top in range(0, height, 6):
        rows = [pixels[row * width : (row + 1) * width] for row in range(top, min(top + 6, height))]
        for color in sorted(set(b"".join(rows))):
            marks = [
                sum(1 << bit for bit, row in enumerate(rows) if row[column] == color)
                for column in range(width)
            ]
            out.append(f"#{color}{_repeated(marks)}$")
        out.append("-")
    out.append("\x1b\\")
    return "".join(out)


def _repeated(marks: list[int]) -> str:
    out, at = [], 0
    while at < len(marks):
        end = at
        while end < len(marks) and marks[end] == marks[at]:
            end += 1
        sign = chr(63 + marks[at])
        out.append(f"!{end - at}{sign}" if end - at > 3 else sign * (end - at))
        at = end
    return "".join(out)
