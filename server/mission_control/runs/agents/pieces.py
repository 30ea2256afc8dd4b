"""What an answer is put together from: thoughts told from text, uses of tools, the text that is kept as the result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from ...domain.limits import RESULT_BYTES_MAX


class ThinkTags:
    """Tells what a model thinks from what it says where both come as content: `<think>…</think>` before the answer.

    A tag counts only where an answer begins, so an answer may well speak about `<think>`. What may still become a
    tag is held back; white space before an answer is dropped.
    """

    def __init__(self) -> None:
        self._thinking = False
        self._at_start = True
        self._held: str = ""

    def feed(self, text: str) -> Iterator[tuple[Literal["text", "reasoning"], str]]:
        held = self._held + text
        self._held = ""
        while held:
            if self._thinking:
                thought, tag, held = held.partition("</think>")
                if tag:
                    self._thinking, self._at_start = False, True
                else:
                    kept = _overlap(thought, "</think>")
                    self._held = thought[len(thought) - kept :]
                    thought = thought[: len(thought) - kept]
                if thought:
                    yield "reasoning", thought
                continue
            if self._at_start:
                held = held.lstrip()
                if held.startswith("<think>"):
                    held = held.removeprefix("<think>")
                    self._thinking = True
                    continue
                if "<think>".startswith(held):
                    self._held = held
                    return
                self._at_start = False
            yield "text", held
            return

    def flush(self) -> Iterator[tuple[Literal["text", "reasoning"], str]]:
        """What was held back is no tag, since something else follows; after that an answer may begin anew."""
        held, self._held = self._held, ""
        thinking, self._thinking, self._at_start = self._thinking, False, True
        if held:
            yield ("reasoning" if thinking else "text"), held


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of the text may be the beginning of the tag."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])), 0)


class ToolCall:
    """One use of a tool, as its fragments come in."""

    __slots__ = (
        "_depth", "_ended", "_escaped", "_fragments", "_in_string", "given_id", "has_answered", "id", "name", "size",
        "state",
    )  # fmt: skip

    def __init__(self, id: str, given_id: str) -> None:
        self.id = id
        self.given_id = given_id
        self.name = ""
        self.size = 0
        self.state: Literal["collecting", "started", "finished"] = "collecting"
        self.has_answered = False
        self._fragments: list[str] = []
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._ended = False

    def take_input(self) -> str:
        """The arguments, given once: what has begun needs them no more."""
        whole = "".join(self._fragments)
        self._fragments.clear()
        return whole

    @property
    def is_whole(self) -> bool:
        """Whether the arguments are a complete JSON object, so that the tool can be shown before anything follows."""
        return bool(self.name) and self._ended

    def add(self, name: str, arguments: str) -> None:
        self.name = self.name or name
        if not arguments or self.state != "collecting":
            return
        self._fragments.append(arguments)
        self.size += len(arguments)
        for mark in arguments:
            self._step(mark)

    def _step(self, mark: str) -> None:
        if self._escaped:
            self._escaped = False
        elif self._in_string:
            self._escaped = mark == "\\"
            self._in_string = mark != '"'
        elif mark == '"':
            self._in_string = True
        elif mark in "{[":
            self._depth += 1
        elif mark in "}]":
            self._depth -= 1
            self._ended = self._depth == 0


class ToolCalls:
    """The uses of tools in one answer, told apart by index and id however the endpoint counts them."""

    def __init__(self) -> None:
        self.count = 0
        self._by_index: dict[int, ToolCall] = {}
        self._by_given_id: dict[str, ToolCall] = {}
        # An answer may use thousands that never say what came of it: each step looks only at those that it concerns.
        self._open: dict[ToolCall, None] = {}
        self._collecting: list[ToolCall] = []
        self._answered: list[ToolCall] = []
        self._index = 0  # of the newest fragment

    def add(self, index: object, given_id: str) -> tuple[ToolCall, bool]:
        """The call that a fragment belongs to, and whether it is its first.

        Some endpoints send no index, others index 0 for every call: then another id is another call. A call that is
        finished gets nothing more, so agents that begin to count anew after each round are understood too.
        """
        if isinstance(index, int):
            self._index = index
        call = self._by_index.get(self._index)
        if call is not None and call.state != "finished" and (not given_id or given_id == call.given_id):
            return call, False
        self.count += 1
        is_taken = not given_id or given_id in self._by_given_id
        call = ToolCall(f"{given_id or 'call'}#{self.count}" if is_taken else given_id, given_id)
        self._by_index[self._index] = call
        self._by_given_id[given_id] = call
        self._open[call] = None
        self._collecting.append(call)
        return call, True

    def named(self, given_id: str) -> ToolCall | None:
        """The newest call that the endpoint named so; without a name, the newest of all."""
        return self._by_given_id.get(given_id) if given_id else self._by_index.get(self._index)

    def open(self) -> list[ToolCall]:
        """The calls that are not finished, in their order."""
        return list(self._open)

    def collecting(self) -> list[ToolCall]:
        """The calls whose arguments may still grow, in their order."""
        self._collecting = [call for call in self._collecting if call.state == "collecting"]
        return self._collecting

    def answer(self, call: ToolCall) -> None:
        """A call has said something of what came of it."""
        if not call.has_answered:
            self._answered.append(call)
        call.has_answered = True

    def answered(self) -> list[ToolCall]:
        """The calls that have answered and are not finished, in the order of their answers."""
        self._answered = [call for call in self._answered if call.state != "finished"]
        return self._answered

    def finish(self, call: ToolCall) -> None:
        """Nothing more comes of a call."""
        call.state = "finished"
        self._open.pop(call, None)


class ResultText:
    """The text of an answer as the task's result: paragraphs where tools were used in between, up to a size."""

    def __init__(self) -> None:
        self.is_cut = False
        self._pieces: list[str] = []
        self._room = RESULT_BYTES_MAX
        self._is_paused = False

    @property
    def text(self) -> str:
        return "".join(self._pieces).strip()

    def pause(self) -> None:
        """Something else than text follows; the next text is a new paragraph."""
        self._is_paused = bool(self._pieces)

    def add(self, text: str) -> None:
        if self._is_paused and text.strip():
            self._is_paused = False
            text = "\n\n" + text.lstrip()
        piece = text.encode()
        if len(piece) > self._room:
            self.is_cut = True
            piece = piece[: self._room]
        self._room -= len(piece)
        self._pieces.append(piece.decode(errors="ignore"))
