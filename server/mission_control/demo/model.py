"""The demo agent with a language model behind it: a small loop in which the model uses a shell until it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import httpx2
import msgspec

from ..domain.progress import Progress
from ..runs.agents.openai_chat import ResponseParser, auth_headers, chat_url
from .voice import Ran, Voice

ROUNDS_MAX = 30  # of asking the model; a model that never ends is stopped
TOOL_ANSWER_CHARACTERS_MAX = 16_000  # of one command's output that the model gets to see
CONNECT_SECONDS = 10
IDLE_SECONDS = 600  # a local model may load for minutes before its first word

SYSTEM = (
    "You are the agent of a small demo desktop in Mission Control. Work on the task with the tool `shell`, which runs "
    "one command in this desktop's own folder, and stay in that folder. When you are done, answer in short Markdown: "
    "what you did, what you found, and what did not work."
)
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "shell",
            "description": "Run a shell command in the desktop's folder; gives its output and exit code.",
            "parameters": {
                "type": "object",
                "properties": {"command": {"type": "string"}},
                "required": ["command"],
            },
        },
    }
]


class Model(NamedTuple):
    """A model behind an OpenAI-compatible endpoint."""

    base_url: str
    api_key: str | None
    name: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Model | None:
        """The model that OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL name; None without address or name."""
        base_url, name = environment.get("OPENAI_BASE_URL", ""), environment.get("OPENAI_MODEL", "")
        return cls(base_url, environment.get("OPENAI_API_KEY"), name) if base_url and name else None


class ModelFailed(Exception):
    """The model gave no whole answer; the message says why."""


class _Use(NamedTuple):
    """A tool that the model wants to be used."""

    id: str
    name: str
    arguments: str


async def work(voice: Voice, model: Model, conversation: Sequence[Mapping[str, object]]) -> None:
    """Let the model work until it answers without using a tool. Raises ModelFailed."""
    messages: list[Mapping[str, object]] = [{"role": "system", "content": SYSTEM}, *conversation]
    timeout = httpx2.Timeout(IDLE_SECONDS, connect=CONNECT_SECONDS)
    async with httpx2.AsyncClient(timeout=timeout) as client:
        for _ in range(ROUNDS_MAX):
            said_before = len(voice.text)
            uses = await _ask(client, voice, model, messages)
            if not uses:
                return
            calls = [
                {"id": use.id, "type": "function", "function": {"name": use.name, "arguments": use.arguments}}
                for use in uses
            ]
            messages.append({"role": "assistant", "content": voice.text[said_before:] or None, "tool_calls": calls})
            messages += [{"role": "tool", "tool_call_id": use.id, "content": await _use(voice, use)} for use in uses]
    raise ModelFailed(f"The model was not done after {ROUNDS_MAX} rounds.")


async def _ask(
    client: httpx2.AsyncClient, voice: Voice, model: Model, messages: Sequence[Mapping[str, object]]
) -> list[_Use]:
    """One answer of the model, passed on while it comes; the tools that it wants to be used."""
    body = {"model": model.name, "messages": messages, "tools": TOOLS, "stream": True}
    headers = auth_headers(model.api_key) | {"content-type": "application/json"}
    url = chat_url(model.base_url)
    uses: list[_Use] = []
    try:
        async with client.stream("POST", url, headers=headers, content=msgspec.json.encode(body)) as response:
            parser = ResponseParser(
                status=response.status_code,
                content_type=response.headers.get("content-type"),
                retry_after=response.headers.get("retry-after"),
                url=url,
            )
            async for data in response.aiter_raw():
                for item in parser.feed(data):
                    await _pass_on(voice, item, uses)
                if parser.outcome is not None:
                    break
            for item in parser.finish():
                await _pass_on(voice, item, uses)
    except httpx2.TransportError as error:
        raise ModelFailed(f"The model at {url} could not be asked: {error or type(error).__name__}") from error
    outcome = parser.outcome
    assert outcome is not None, "the answer is finished"
    if outcome.error is not None and not (uses and outcome.finish_reason in ("tool_calls", "function_call", "stop")):
        raise ModelFailed(outcome.error.message)
    return uses


async def _pass_on(voice: Voice, item: Progress, uses: list[_Use]) -> None:
    match item.kind:
        case "text":
            await voice.pass_on(item.text or "")
        case "reasoning":
            await voice.think(item.text or "")
        case "tool.started":
            uses.append(_Use(item.call_id or "", item.name or "", item.input or ""))
        case _:
            pass


async def _use(voice: Voice, use: _Use) -> str:
    """Do what the model wants; what it gets to hear, also where it asked for something that there is not."""
    if use.name != "shell":
        return f"There is no tool {use.name}. Use the tool shell."
    try:
        command = msgspec.json.decode(use.arguments, type=_ShellArguments).command
    except msgspec.DecodeError as error:
        return f"The arguments are not valid: {error}"
    return _told(await voice.run(command))


class _ShellArguments(msgspec.Struct):
    command: str


def _told(ran: Ran) -> str:
    """Begin and end of a long output: errors stand at the end, heads of tables at the beginning."""
    output, half = ran.output, TOOL_ANSWER_CHARACTERS_MAX // 2
    if len(output) > 2 * half:
        output = f"{output[:half]}\n… {len(output) - 2 * half} characters left out …\n{output[-half:]}"
    return f"{output}\n[{'ended at its time limit' if ran.code is None else f'exit code {ran.code}'}]"
