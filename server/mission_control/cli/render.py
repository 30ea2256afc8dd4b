"""How answers look: a table for people, plain columns for pipes, JSON for programs; and the words for times."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ..domain.entities import DesktopStatus, TaskStatus
from ..domain.times import microseconds
from .failures import Failed
from .terminal import BIDI, one_line

GAP = 2  # blanks between columns
FLEXIBLE_WIDTH_MIN = 16
WORDS_CHARACTERS_MAX = 200  # of a task's content in a list; the table cuts it to the window

STATUS_STYLES: dict[TaskStatus | DesktopStatus, str] = {
    "pending": "dim",
    "booting": "cyan",
    "running": "cyan",
    "review": "magenta",
    "done": "green",
    "failed": "red",
    "cancelled": "yellow",
    "stopped": "yellow",
    "error": "red",
}

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_DURATION = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_HIDDEN = re.compile(f"[\x7f-\x9f{BIDI}]")


class Cell(NamedTuple):
    """A value as people read it, how it looks, and as programs read it."""

    text: str
    style: str = ""
    plain: str | None = None


class Column(NamedTuple):
    """A column of a table. In a narrow window the flexible one is cut, and the optional ones go, the highest first."""

    title: str
    flexible: bool = False
    right: bool = False
    optional: int = 0


def now_us() -> int:
    return time.time_ns() // 1000


def status_cell(status: TaskStatus | DesktopStatus) -> Cell:
    return Cell(status, STATUS_STYLES.get(status, ""))


def time_cell(at: str | None, now: int) -> Cell:
    """A moment: relative for people, as it is for programs."""
    return Cell(ago(at, now), "dim", at or "")


def duration_cell(duration_ms: int | None) -> Cell:
    return Cell(duration(duration_ms), "", "" if duration_ms is None else str(duration_ms))


def ago(at: str | None, now: int) -> str:
    """How long a moment is past or ahead, in its largest unit: `3m ago`, `in 2h`."""
    if at is None:
        return ""
    seconds = (now - microseconds(at)) // 1_000_000
    if -1 <= seconds < 1:
        return "now"
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            return f"{seconds // size}{unit} ago" if seconds > 0 else f"in {-seconds // size}{unit}"
    return "now"


def duration(ms: int | None) -> str:
    """`850 ms`, `1.4 s`, `3 m 20 s`, `2 h 5 m`; nothing while it is not known."""
    if ms is None:
        return ""
    if ms < 1_000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(ms // 1000, 60)
    if minutes < 60:
        return f"{minutes} m {seconds} s"
    return f"{minutes // 60} h {minutes % 60} m"


def seconds_of(text: str) -> int:
    """The inverse for what people type: `90s`, `15m`, `30d`, or plain seconds. Raises ValueError."""
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a time such as 90s, 15m, 12h or 30d")
    return int(found[1]) * _SECONDS[found[2]]


def shortened(text: str, characters_max: int = WORDS_CHARACTERS_MAX) -> str:
    """Text on one line, harmless and not too long."""
    line = one_line(text[: 4 * characters_max])
    return line if len(line) <= characters_max else line[: characters_max - 1] + "…"


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, empty: str) -> None:
    """Rows for people with a heading; without a terminal, one line each with tabs between, and nothing cut."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(one_line(cell.text if cell.plain is None else cell.plain) for cell in row))
        return
    if not rows:
        print(empty, file=sys.stderr)
        return
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    texts = [[one_line(cell.text) for cell in row] for row in rows]
    widths = [
        FLEXIBLE_WIDTH_MIN if column.flexible else max(cell_len(text) for text in (column.title, *cells))
        for column, *cells in zip(columns, *texts, strict=True)
    ]
    shown = fitting(columns, widths, console.width)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, GAP, 0, 0))
    for index in shown:
        column = columns[index]
        if column.flexible:
            table.add_column(column.title, overflow="ellipsis", no_wrap=True, ratio=1)
        else:
            justify = "right" if column.right else "left"
            table.add_column(column.title, no_wrap=True, min_width=widths[index], justify=justify)
    for cells, row in zip(texts, rows, strict=True):
        table.add_row(*(Text(cells[index], style=row[index].style) for index in shown))
    console.print(table)


def fitting(columns: Sequence[Column], widths: Sequence[int], window: int) -> list[int]:
    """The columns, by index, that a window has room for."""
    shown = list(range(len(columns)))
    while sum(widths[index] + GAP for index in shown) > window:
        least = max(shown, key=lambda index: columns[index].optional)
        if not columns[least].optional:
            break
        shown.remove(least)
    return shown


def print_facts(facts: Sequence[tuple[str, Cell]]) -> None:
    """One object: a name and a value a line; what is empty is left out."""
    from rich.console import Console
    from rich.text import Text

    shown = [(name, cell) for name, cell in facts if cell.text]
    width = max((len(name) for name, _ in shown), default=0) + 2
    console = Console(soft_wrap=True)
    for name, cell in shown:
        console.print(Text.assemble((name.ljust(width), "bold"), (one_line(cell.text), cell.style)))


def print_json(body: bytes) -> None:
    """An answer as JSON, indented, safe for any terminal."""
    try:
        text = msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Failed("The server's answer is not JSON.") from None
    print(_HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def note(text: str) -> None:
    """Something for the person beside the result: on stderr."""
    print(one_line(text), file=sys.stderr)
