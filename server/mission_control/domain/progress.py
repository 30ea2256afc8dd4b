"""What an agent does while it works on a prompt, step by step, as it goes into the log and to the screens.

Progress is derived from the agent's raw answer and never the other way round: every item says with `upTo` how much of
the answer it covers, so after a restart the same bytes are read again and only what is missing is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from .values import Usage, Value

ProgressKind = Literal[
    "text",  # a piece of the answer, Markdown
    "reasoning",  # a piece of what the model thought on the way
    "tool.started",  # the agent uses a tool; its input is complete
    "tool.output",  # a piece of what the tool said
    "tool.finished",  # the agent went on after the tool
    "plan",  # the whole plan as it now is; it replaces the one before
    "usage",  # tokens used so far; it replaces the figures before
    "notice",  # a sentence of ours: an answer that was cut, another attempt
]

GATHERED_CHARACTERS_MAX = 64 * 1024  # of pieces joined to one item, so that one event of the log stays small

StepStatus = Literal["pending", "in_progress", "completed"]


class PlanItem(Value, frozen=True):
    """One step of an agent's plan."""

    step: str
    status: StepStatus = "pending"


class Progress(Value, frozen=True):
    """One step of an agent's work. Which fields are present depends on `kind`; the others are absent.

    `up_to` counts bytes of the raw answer: everything before that offset is covered by this item and those before it.
    The answer's end counts as one byte more, so that what only the end revealed has a place of its own. Items that
    come from the same bytes have the same `up_to` and belong into the same append.
    """

    kind: ProgressKind
    up_to: int
    text: str | UnsetType = UNSET  # text, reasoning: the piece; notice: a sentence
    held: int | UnsetType = UNSET  # bytes that follow this piece: they may begin a secret, and begin the next item
    call_id: str | UnsetType = UNSET  # tool.*: which use of a tool, unique in the answer
    name: str | UnsetType = UNSET  # tool.started, tool.finished: the tool
    input: str | UnsetType = UNSET  # tool.started: its arguments as the agent wrote them, usually a JSON object
    output: str | UnsetType = UNSET  # tool.output: the piece
    items: tuple[PlanItem, ...] | UnsetType = UNSET  # plan
    usage: Usage | UnsetType = UNSET  # usage

    def __str__(self) -> str:
        said = self.text or self.output or self.input or self.name or ""
        return f"{self.kind}@{self.up_to} {said[:60]!r}"


def gather(items: Iterable[Progress]) -> list[Progress]:
    """The same progress in fewer items: neighbouring pieces of one text become one, which covers what both covered.

    Joining the pieces of a kind gives the same text before and after. Only neighbours are joined, so the order of
    what happened stays.
    """
    gathered: list[Progress] = []
    run: list[Progress] = []  # neighbours that make one item
    size = 0  # characters in the run
    for item in items:
        piece = len(_piece(item))
        if run and not (continues(run[-1], item) and size + piece <= GATHERED_CHARACTERS_MAX):
            gathered.append(_joined(run))
            run, size = [], 0
        run.append(item)
        size += piece
    if run:
        gathered.append(_joined(run))
    return gathered


def continues(before: Progress, item: Progress) -> bool:
    """Whether an item is the next piece of the same text, or the newer figure."""
    return (
        item.kind in ("text", "reasoning", "tool.output", "usage")
        and before.kind == item.kind
        and before.call_id == item.call_id
    )


def _joined(run: list[Progress]) -> Progress:
    last = run[-1]
    if len(run) == 1 or last.kind == "usage":
        return last
    return with_piece(last, "".join(map(_piece, run)))


def _piece(item: Progress) -> str:
    return (item.output if item.kind == "tool.output" else item.text) or ""


def piece_of(item: Progress) -> str | None:
    """The piece of a longer text that an item is, or None."""
    return _piece(item) if item.kind in ("text", "reasoning", "tool.output") else None


def with_piece(item: Progress, piece: str) -> Progress:
    """The same item of another piece."""
    return replace(item, output=piece) if item.kind == "tool.output" else replace(item, text=piece)


def rest_of(item: Progress, held: int) -> Progress:
    """What of an item was `held` when the piece before it was said."""
    piece = _piece(item).encode(errors="surrogatepass")
    return with_piece(item, piece[-held:].decode(errors="replace"))
