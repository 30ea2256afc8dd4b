"""OpenAI chat completions, as agents really speak them: builds the request, parses the answer. No I/O, no clock.

- `build_request` gives URL, headers and body; the caller sends them as they are and follows no redirect.
- `ResponseParser` takes the head and the raw bytes of the answer and gives `Progress`; when the answer is over, its
  `outcome` is the result or one failure with a stable code and a sentence that says what to do.
- The same bytes give the same progress in any split. A parser that was told `silent_until` says exactly what a first
  reader of those bytes had not yet said: that is how a run goes on after a restart.

It is strict about what ends an answer and tolerant of everything else: endpoints and the proxies before them differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, cast
from urllib.parse import urlsplit, urlunsplit

import msgspec

from ...domain.entities import Agent, AgentKind
from ...domain.limits import RESULT_BYTES_MAX
from ...domain.progress import Progress
from ...domain.values import Error, Usage
from ..sse import SseDecoder, SseEvent
from .attempts import Attempt, Outcome, next_attempt
from .failures import (
    BAD_STREAM,
    BUSY,
    CONTENT_FILTER,
    CUT_SHORT,
    EMPTY,
    ERROR,
    NOT_FOUND,
    NOT_FOUND_OPENCLAW,
    NOT_SSE,
    REDIRECTED,
    REJECTED,
    TRUNCATED,
    UNAUTHORIZED,
    Failure,
    failed,
    unreachable,
    went_silent,
)
from .foreign import after_colon, as_list, as_object, as_text, content_of, decoded, plan_of, quoted, said_in, usage_of
from .pieces import ResultText, ThinkTags, ToolCall, ToolCalls

__all__ = [
    "Attempt",
    "ChatRequest",
    "Outcome",
    "ResponseParser",
    "Turn",
    "auth_headers",
    "build_request",
    "chat_url",
    "health_url",
    "models_url",
    "next_attempt",
    "unreachable",
    "went_silent",
]

RESPONSE_BYTES_MAX = 64 * 1024 * 1024  # of one answer; more is a model that repeats itself
JSON_BODY_BYTES_MAX = 8 * 1024 * 1024  # of an answer that is not streamed; it is held in memory as a whole
ERROR_BODY_BYTES_MAX = 64 * 1024  # of an answer that only explains a refusal
SNIFF_BYTES_MAX = 64 * 1024  # white space before an answer shows what it is; proxies send some to keep it alive
PIECE_CHARACTERS_MAX = 64 * 1024  # of one text item, so that one event of the log stays small
TOOL_INPUT_CHARACTERS_MAX = 1024 * 1024  # of one tool's arguments
TOOL_CALLS_MAX = 10_000  # in one answer: hours of work; of each a few hundred bytes are kept until the answer is over
HISTORY_BYTES_MAX = 512 * 1024  # of the earlier turns that are sent again; the oldest are left out first

assert ERROR_BODY_BYTES_MAX <= JSON_BODY_BYTES_MAX <= RESPONSE_BYTES_MAX
assert RESULT_BYTES_MAX <= JSON_BODY_BYTES_MAX, "an answer in one piece can be a whole result"

PLAN_TOOL = "update_plan"  # agents tell their plan as a use of this tool: {"plan": [{"step", "status"}]}


class Turn(NamedTuple):
    """An earlier exchange of the same conversation: what was asked, and what came back."""

    prompt: str
    answer: str


class ChatRequest(NamedTuple):
    """A POST, ready to be sent as it is."""

    url: str
    headers: dict[str, str]
    body: bytes


def chat_url(base: str) -> str:
    """The chat endpoint below a base address as in OPENAI_BASE_URL; a bare host gets `/v1`."""
    return _below(base, "/chat/completions")


def models_url(base: str) -> str:
    """Where an endpoint lists its models: the cheapest request that shows that it is ready and the token right."""
    return _below(base, "/models")


def health_url(base: str) -> str:
    """Where an OpenClaw gateway says whether it is up; it needs no token."""
    parts = urlsplit(base.strip())
    return urlunsplit((parts.scheme, parts.netloc, "/healthz", "", ""))


def _below(base: str, path: str) -> str:
    parts = urlsplit(base.strip())
    root = parts.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return urlunsplit((parts.scheme, parts.netloc, root + path, parts.query, ""))


def auth_headers(token: str | None) -> dict[str, str]:
    """The headers that every request to an endpoint has.

    Raises ValueError when the token holds something that cannot stand in a header, such as a line end.
    """
    headers = {"accept-encoding": "identity", "user-agent": "mission-control"}
    token = (token or "").strip()
    if token:
        if not (token.isascii() and token.isprintable()):
            raise ValueError("The agent's token has characters that cannot be sent. Enter it again on the desktop.")
        headers["authorization"] = f"Bearer {token}"
    return headers


def build_request(
    agent: Agent,
    *,
    token: str | None,
    prompt: str,
    turns: Sequence[Turn] = (),
    session_id: str | None = None,
    include_usage: bool = True,
) -> ChatRequest:
    """The request that asks an agent to answer `prompt`, as a continuation of `turns`.

    An OpenClaw gateway keeps the conversation itself under a session key, so it gets only the new message. A plain
    endpoint remembers nothing and gets the earlier turns again. Raises ValueError like `auth_headers`.
    """
    headers = auth_headers(token) | {"content-type": "application/json", "accept": "text/event-stream"}
    messages = [{"role": "user", "content": prompt}]
    model = agent.model
    if agent.kind == "openclaw":
        model = model or "openclaw"
        if session_id is not None:
            headers["x-openclaw-session-key"] = f"mission-control-{session_id}"
    if agent.kind != "openclaw" or session_id is None:
        messages = [*_history(turns), *messages]
    body: dict[str, object] = {"model": model} if model else {}  # a server with one model does without
    body |= {"messages": messages, "stream": True}
    if include_usage:
        body["stream_options"] = {"include_usage": True}
    return ChatRequest(chat_url(agent.url), headers, msgspec.json.encode(body))


def _history(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """The newest turns that fit, oldest first; a turn is sent whole or not at all."""
    kept: list[dict[str, str]] = []
    room = HISTORY_BYTES_MAX
    for turn in reversed(turns):
        room -= len(turn.prompt.encode()) + len(turn.answer.encode())
        if room < 0:
            break
        kept = [{"role": "user", "content": turn.prompt}, {"role": "assistant", "content": turn.answer}, *kept]
    return kept


# --- the answer -------------------------------------------------------------------------------------------------------


class ResponseParser:
    """The answer of a chat endpoint: raw bytes in by `feed()` and `finish()`, progress out, in the end an `outcome`.

    Once `outcome` is set the answer is over and the connection can be closed; further bytes are ignored.
    """

    def __init__(
        self,
        *,
        status: int,
        content_type: str | None,
        retry_after: str | None = None,
        kind: AgentKind = "openai",
        url: str = "",
        start: int = 0,
        silent_until: int = 0,
    ) -> None:
        """Begin with the head of an answer.

        `start` is the offset of its first byte in the run's response stream (an earlier attempt may stand before it).
        Progress up to `silent_until` is worked out, but not given out again; `last_silent` is the last of it.
        """
        self.outcome: Outcome | None = None
        self.last_silent: Progress | None = None
        self._status = status
        self._content_type = (content_type or "").partition(";")[0].strip().lower()
        self._retry_after = retry_after
        self._kind: AgentKind = kind
        self._url = url
        self._silent_until = silent_until
        self._start = start
        self._received = 0  # bytes
        self._event_end = start  # offset after the last event
        self._out: list[Progress] = []
        self._mode: Literal["refusal", "sniffing", "events", "json"] = "sniffing" if 200 <= status < 300 else "refusal"
        self._body = bytearray()  # while it is not known to be events
        self._events = SseDecoder()
        self._event_count = 0
        self._chunk_count = 0
        self._tags = ThinkTags()
        self._calls = ToolCalls()
        self._result = ResultText()
        self._reasoned = False
        self._usage: Usage | None = None
        self._finish_reason: str | None = None

    def feed(self, data: bytes) -> list[Progress]:
        """Take the next bytes of the body, and give out the progress that they complete."""
        room = RESPONSE_BYTES_MAX - self._received
        self._received += min(len(data), room)
        if self.outcome is None:
            self._take(data[:room])
        if self.outcome is None and len(data) > room:
            self._fail(self._event_end + 1, BAD_STREAM, what=f"it is longer than {RESPONSE_BYTES_MAX} bytes")
        return self._said()

    def finish(self, broken: str | None = None, error: Error | None = None) -> list[Progress]:
        """Take the end of the body, after which `outcome` is set.

        `broken` says in a few words why the connection ended, if not by the body's proper end. `error` is a failure
        that the caller itself found (`went_silent`, a timeout); it stands unless the answer was already complete.
        """
        end = self._start + self._received + 1
        if self.outcome is None:
            match self._mode:
                case "refusal":
                    self._refused()
                case "json" if not broken and not error:
                    self._whole_json(end)
                case "events":
                    self._last_event()
                case _:
                    pass
        if self.outcome is None:
            self._ended(end, broken, error)
        return self._said()

    # what kind of body it is

    def _take(self, data: bytes) -> None:
        match self._mode:
            case "events":
                self._take_events(data)
            case "json":
                self._body += data
                if len(self._body) > JSON_BODY_BYTES_MAX:
                    what = f"it comes in one piece of more than {JSON_BODY_BYTES_MAX} bytes"
                    self._fail(self._event_end + 1, BAD_STREAM, what=what)
            case "refusal":
                self._body += data
                if len(self._body) >= ERROR_BODY_BYTES_MAX:
                    self._refused()
            case "sniffing":
                self._body += data
                self._sniff()

    def _sniff(self) -> None:
        """The first character decides, since content types are often wrong; a web page is no answer in any case."""
        if b"\xef\xbb\xbf".startswith(self._body):
            return
        head = bytes(self._body[:SNIFF_BYTES_MAX]).removeprefix(b"\xef\xbb\xbf").lstrip()
        if not head and len(self._body) < SNIFF_BYTES_MAX:
            return
        if head.startswith(b"<") or self._content_type in ("text/html", "application/xhtml+xml"):
            self._fail(self._event_end + 1, NOT_SSE, url=self._url, what="a web page")
            return
        body = bytes(self._body)
        self._body.clear()
        self._mode = "json" if head[:1] in (b"{", b"[") else "events"
        self._take(body)

    def _take_events(self, data: bytes) -> None:
        for event in self._events.feed(data):
            self._event(event)
            if self.outcome is not None:
                return
        if self._events.error is not None:
            what = {
                "line_too_long": "one of its lines is too long",
                "event_too_large": "one of its events is too large",
                "invalid_utf8": "it is not valid UTF-8",
            }[self._events.error]
            self._fail(self._event_end + 1, BAD_STREAM, what=what)

    def _last_event(self) -> None:
        """An event without its blank line counts if it is whole: JSON that was cut off is not valid."""
        event = self._events.finish()
        if event is not None and (event.data.strip() == "[DONE]" or decoded(event.data) is not None):
            self._event(event)

    # events and chunks

    def _event(self, event: SseEvent) -> None:
        up_to = self._event_end = self._start + event.end
        self._event_count += 1
        data = event.data.strip()
        if data == "[DONE]":
            self._conclude(up_to)
            return
        if not data:
            return
        chunk = decoded(data)
        if event.type == "error":
            self._broke(up_to, chunk if chunk is not None else data)
        elif isinstance(chunk, dict):
            self._chunk(up_to, cast(dict[str, object], chunk))
        elif event.type == "message":  # other names are other things: pings, progress of one product
            self._fail(up_to, BAD_STREAM, what=f"an event is not a JSON object ({quoted(data, 80)})")

    def _chunk(self, up_to: int, chunk: dict[str, object]) -> None:
        if chunk.get("error") or chunk.get("object") == "error":
            self._broke(up_to, chunk)
            return
        self._usage = usage_of(chunk.get("usage")) or self._usage
        choices = [choice for choice in map(as_object, as_list(chunk.get("choices"))) if choice.get("index", 0) == 0]
        self._chunk_count += "choices" in chunk
        for choice in choices[:1]:
            self._delta(up_to, as_object(choice.get("delta")))
            if self.outcome is None and (reason := as_text(choice.get("finish_reason"))):
                self._finish_reason = reason

    def _delta(self, up_to: int, delta: dict[str, object]) -> None:
        content = content_of(delta.get("content")) or as_text(delta.get("refusal"))
        if delta.get("role") == "tool":  # agents that say what their own tools answered
            self._tool_output(up_to, as_text(delta.get("tool_call_id")), content)
            return
        reasoning = as_text(delta.get("reasoning_content")) or as_text(delta.get("reasoning"))
        if reasoning:
            self._speak(up_to, [("reasoning", reasoning)])
        if content:
            self._speak(up_to, self._tags.feed(content))
        for fragment in as_list(delta.get("tool_calls")):
            if self.outcome is None:
                self._tool_fragment(up_to, as_object(fragment))

    def _speak(self, up_to: int, pieces: Iterable[tuple[Literal["text", "reasoning"], str]]) -> None:
        for kind, text in pieces:
            if text.strip():  # the agent goes on: whatever it used before has answered
                self._start_calls(up_to)
                self._finish_calls(up_to)
            if kind == "text":
                self._result.add(text)
            self._reasoned |= kind == "reasoning"
            for at in range(0, len(text), PIECE_CHARACTERS_MAX):
                self._say(Progress(kind=kind, up_to=up_to, text=text[at : at + PIECE_CHARACTERS_MAX]))

    # tools

    def _tool_fragment(self, up_to: int, fragment: dict[str, object]) -> None:
        function = as_object(fragment.get("function"))
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = msgspec.json.encode(arguments).decode()
        self._speak(up_to, self._tags.flush())
        self._result.pause()
        call, is_new = self._calls.add(fragment.get("index"), as_text(fragment.get("id")))
        if is_new:
            self._start_calls(up_to, but=call)
            self._finish_calls(up_to, only_answered=True)
        call.add(as_text(function.get("name")), as_text(arguments))
        if self._calls.count > TOOL_CALLS_MAX:
            self._fail(up_to, BAD_STREAM, what=f"it uses more than {TOOL_CALLS_MAX} tools")
        elif call.size > TOOL_INPUT_CHARACTERS_MAX:
            self._fail(up_to, BAD_STREAM, what="the arguments of a tool are too large")
        elif call.is_whole:
            self._start_call(up_to, call)

    def _tool_output(self, up_to: int, call_id: str, output: str) -> None:
        self._start_calls(up_to)
        call = self._calls.named(call_id)
        if call is None or call.state != "started" or not output:
            return
        self._calls.answer(call)
        for at in range(0, len(output), PIECE_CHARACTERS_MAX):
            piece = output[at : at + PIECE_CHARACTERS_MAX]
            self._say(Progress(kind="tool.output", up_to=up_to, call_id=call.id, output=piece))

    def _start_calls(self, up_to: int, but: ToolCall | None = None) -> None:
        for call in self._calls.collecting():
            if call is not but:
                self._start_call(up_to, call)

    def _start_call(self, up_to: int, call: ToolCall) -> None:
        if call.state != "collecting":
            return
        call.state = "started"
        input = call.take_input()
        if call.name == PLAN_TOOL and (items := plan_of(input)):
            self._calls.finish(call)
            self._say(Progress(kind="plan", up_to=up_to, items=items))
            return
        name = call.name or "tool"
        self._say(Progress(kind="tool.started", up_to=up_to, call_id=call.id, name=name, input=input))

    def _finish_calls(self, up_to: int, *, only_answered: bool = False) -> None:
        for call in self._calls.answered() if only_answered else self._calls.open():
            if call.state == "started":
                self._calls.finish(call)
                self._say(Progress(kind="tool.finished", up_to=up_to, call_id=call.id, name=call.name or "tool"))

    # the end

    def _whole_json(self, end: int) -> None:
        """A body that is one JSON object: the server ignored `stream`."""
        body = decoded(bytes(self._body).removeprefix(b"\xef\xbb\xbf"))
        if not isinstance(body, dict):
            self._fail(end, BAD_STREAM, what="it is neither events nor one JSON object")
            return
        whole = cast(dict[str, object], body)
        choices = [as_object(choice) for choice in as_list(whole.get("choices"))]
        if not choices and not whole.get("error") and whole.get("object") != "error":
            self._fail(end, NOT_SSE, url=self._url, what=f"JSON without an answer ({quoted(said_in(whole), 80)})")
            return
        as_chunk = [
            {"delta": choice.get("message"), "finish_reason": choice.get("finish_reason")} for choice in choices
        ]
        self._chunk(end, whole | {"choices": as_chunk[:1]})
        if self.outcome is None:
            self._conclude(end)

    def _ended(self, end: int, broken: str | None, error: Error | None) -> None:
        """The body ended, and nothing in it said so."""
        if self._finish_reason is not None:
            self._conclude(end)
        elif error is not None:
            self._close(end, error)
        elif broken:
            self._fail(end, TRUNCATED, why=f" ({quoted(broken).rstrip('.')})")
        elif self._mode == "sniffing" and self._content_type != "text/event-stream":
            self._fail(end, EMPTY, why=": the body of its reply is empty")
        elif self._event_count == 0 and self._content_type != "text/event-stream":
            self._fail(end, NOT_SSE, url=self._url, what=f"{self._content_type or 'something'} that is no event stream")
        elif self._event_count > 0 and self._chunk_count == 0:
            self._fail(end, BAD_STREAM, what="none of its events is a piece of a chat completion")
        else:
            self._fail(end, TRUNCATED, why="")

    def _conclude(self, up_to: int) -> None:
        """The agent said that it is done."""
        self._speak(up_to, self._tags.flush())
        self._start_calls(up_to)
        reason = self._finish_reason
        wants_tools = reason in ("tool_calls", "function_call") and any(self._calls.open())
        if not wants_tools:
            self._finish_calls(up_to)
        if reason in ("length", "max_tokens"):
            self._fail(up_to, CUT_SHORT)
        elif reason == "content_filter":
            self._fail(up_to, CONTENT_FILTER)
        elif reason == "error":
            self._fail(up_to, ERROR, status="", said="")
        elif not self._result.text:
            why = " (it only thought)" if self._reasoned else ""
            why = " (it asked for tools that nobody here runs)" if wants_tools else why
            self._fail(up_to, EMPTY, why=why)
        else:
            self._close(up_to, None)

    def _broke(self, up_to: int, said: object) -> None:
        """An error in mid-stream, after a good status."""
        self._fail(up_to, ERROR, status="", said=after_colon(said_in(said)))

    def _refused(self) -> None:
        """The status alone ended it; the body only explains."""
        status = self._status
        body = bytes(self._body[:ERROR_BODY_BYTES_MAX])
        explained = decoded(body)
        plain = "" if self._content_type == "text/html" else body.decode(errors="replace")
        message = quoted(plain) if explained is None else said_in(explained)
        facts: dict[str, object] = {"status": status, "url": self._url, "said": after_colon(message), "wait": ""}
        match status:
            case 401 | 403:
                failure = UNAUTHORIZED
            case 404 | 405 | 410:
                failure = NOT_FOUND_OPENCLAW if self._kind == "openclaw" else NOT_FOUND
            case 429 | 503:
                failure = BUSY
                if self._retry_after:
                    asked = quoted(self._retry_after, 40)
                    facts["wait"] = f" It asks to wait {asked + ' s' if asked.isdigit() else 'until ' + asked}."
            case _ if 300 <= status < 400:
                failure = REDIRECTED
            case _ if 400 <= status < 500:
                failure = REJECTED
            case _:
                failure = ERROR
                facts["status"] = f" ({status})"
        refusal = failed(failure, **facts)
        said = message + (" insufficient_quota" if b"insufficient_quota" in self._body else "")
        self.outcome = Outcome(None, None, refusal, None, status, self._retry_after, said)

    def _fail(self, up_to: int, failure: Failure, **facts: object) -> None:
        self._close(up_to, failed(failure, **facts))

    def _close(self, up_to: int, error: Error | None) -> None:
        self._speak(up_to, self._tags.flush())
        if self._usage is not None:
            self._say(Progress(kind="usage", up_to=up_to, usage=self._usage))
        if self._result.is_cut:
            text = f"Only the first {RESULT_BYTES_MAX // 1024} KiB of the answer are kept as the task's result."
            self._say(Progress(kind="notice", up_to=up_to, text=text))
        if error is not None and error.code in (CUT_SHORT.code, CONTENT_FILTER.code):
            self._say(Progress(kind="notice", up_to=up_to, text=error.message))
        result = self._result.text or None
        self.outcome = Outcome(result, self._usage, error, self._finish_reason, self._status, self._retry_after)

    def _say(self, item: Progress) -> None:
        if item.up_to > self._silent_until:
            self._out.append(item)
        else:
            self.last_silent = item

    def _said(self) -> list[Progress]:
        out, self._out = self._out, []
        return out
