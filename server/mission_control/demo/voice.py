"""How the demo agent speaks: chunks of a chat completion, for whatever it really says and does."""

from __future__ import annotations

import codecs
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import anyio
import msgspec

from .shell import Shell, follow, output_pipe

PIECE_SECONDS = 0.02  # between pieces of text: to be followed with the eye, and quick
OUTPUT_BYTES_MAX = 64 * 1024  # of one command's output; the rest is counted, not kept
COMMAND_SECONDS_MAX = 300  # for one command

_PIECES = re.compile(r"\s*\S+(?:\s+\S+){0,2}\s*")  # three words at a time


class Ran(NamedTuple):
    """A command that was run. `code` is None when it was ended at its time limit."""

    command: str
    code: int | None
    output: str

    @property
    def is_good(self) -> bool:
        return self.code == 0


class Voice:
    """One answer. Each method returns when the client has it; a client that leaves cancels whatever goes on."""

    def __init__(self, shell: Shell, send: Callable[[dict[str, object]], Awaitable[None]], pace: float) -> None:
        """`send` takes a delta; `pace` stretches the time between pieces of text (0 = at once)."""
        self.shell = shell
        self.text = ""  # all that was said
        self._send = send
        self._pause_seconds = PIECE_SECONDS * pace
        self._call_count = 0

    async def say(self, markdown: str) -> None:
        """Speak some words at a time."""
        for piece in _PIECES.findall(markdown) or [markdown]:
            await self.pass_on(piece)
            await anyio.sleep(self._pause_seconds)

    async def pass_on(self, text: str) -> None:
        """Speak words that come at their own pace."""
        self.text += text
        await self._send({"content": text})

    async def think(self, text: str) -> None:
        """Pass on what a model thinks."""
        await self._send({"reasoning_content": text})

    async def plan(self, steps: Sequence[str], done: int) -> None:
        """Tell the plan, of which so many steps are done."""
        statuses = ["completed"] * done + ["in_progress"] + ["pending"] * len(steps)
        entries = [{"step": step, "status": status} for step, status in zip(steps, statuses, strict=False)]
        await self._call("update_plan", {"plan": entries})

    async def run(self, command: str) -> Ran:
        """Use the shell: say so, run it in the demo's folder, and tell its output while it comes."""
        call_id = await self._call("shell", {"command": command})
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        output, size, code = "", 0, None

        async def take(data: bytes) -> None:
            nonlocal output, size
            kept = decoder.decode(data[: max(0, OUTPUT_BYTES_MAX - size)])
            size += len(data)
            output += kept
            if kept:
                await self._send({"role": "tool", "tool_call_id": call_id, "content": kept})

        with output_pipe() as (pipe, given):
            async with self.shell.command(command, stdout=given.descriptor, stderr=given.descriptor) as process:
                given.hand_over()
                with anyio.move_on_after(COMMAND_SECONDS_MAX):
                    code = await follow(process, [(pipe, take)])
        notes = f"\n[{size - OUTPUT_BYTES_MAX} more bytes]" if size > OUTPUT_BYTES_MAX else ""
        notes += f"\n[ended after {COMMAND_SECONDS_MAX} s]" if code is None else f"\n[exit {code}]" if code else ""
        if notes:
            await self._send({"role": "tool", "tool_call_id": call_id, "content": notes})
        return Ran(command, code, output)

    async def _call(self, name: str, arguments: object) -> str:
        """Begin the use of a tool: its name, then its arguments in fragments, as models write them."""
        index, self._call_count = self._call_count, self._call_count + 1
        call_id = f"call_{index + 1}"
        head = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
        await self._send({"tool_calls": [head]})
        text = msgspec.json.encode(arguments).decode()
        for at in range(0, len(text), 24):
            fragment = {"index": index, "function": {"arguments": text[at : at + 24]}}
            await self._send({"tool_calls": [fragment]})
        return call_id
