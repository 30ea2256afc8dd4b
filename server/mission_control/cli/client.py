"""The API as commands see it: typed answers, refusals and lost connections as sentences, one stream of events."""

from __future__ import annotations

import re
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx2
import msgspec

from ..domain.values import Actor
from .failures import FAILED, NOT_ALLOWED, UNREACHABLE, Failed, Lost
from .terminal import one_line

MISSION_CONTROL = "/api/mission-control"
ANSWER_SECONDS_MAX = 75  # a cancel may wait for a minute
QUIET_SECONDS_MAX = 45  # of a stream; the server says something every 15 s
EVENT_BYTES_MAX = 16 * 1024 * 1024  # of one event as JSON
PAGE_SIZE = 1000  # the most that a list answers at once

_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')

T = TypeVar("T")


class _Problem(msgspec.Struct):
    code: str
    detail: str


class Envelope(msgspec.Struct, frozen=True):
    """One event as the stream brings it; its payload is decoded by its type."""

    type: str
    payload: msgspec.Raw
    seq: int
    at: str = ""
    actor: Actor | None = None


class Page(msgspec.Struct, frozen=True):
    """A list as far as it was asked for, and how many there are in all."""

    body: bytes
    total: int
    count: int

    def of(self, kind: type[T]) -> list[T]:
        return decoded(self.body, list[kind])


def decoded(body: bytes, kind: type[T]) -> T:
    """An answer as a value. Raises Failed when another version of the server answers something else."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise Failed(f"The server's answer is not understood ({error}). Is it of the same version?") from None


def segment(text: str) -> str:
    """An id as a step of a path, whatever was typed."""
    return quote(text, safe="") or "-"


def task_path(id: str, rest: str = "") -> str:
    return f"{MISSION_CONTROL}/tasks/{segment(id)}{rest}"


def desktop_path(id: str, rest: str = "") -> str:
    return f"/api/desktops/{segment(id)}{rest}"


class Client:
    """One server. Every call raises Failed with a sentence and an exit code."""

    def __init__(self, http: httpx2.Client, name: str) -> None:
        self._http = http
        self.name = name

    @classmethod
    def over_socket(cls, path: str, name: str) -> Client:
        """Through the administration socket, as the server's owner."""
        transport = httpx2.HTTPTransport(uds=path)
        return cls(httpx2.Client(transport=transport, base_url="http://localhost", timeout=ANSWER_SECONDS_MAX), name)

    @classmethod
    def over_network(cls, url: str, key: str) -> Client:
        """By address and key. What the environment says about proxies does not hold for this machine itself."""
        is_here = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
        http = httpx2.Client(
            base_url=url, headers={"x-api-key": key}, timeout=ANSWER_SECONDS_MAX, trust_env=not is_here
        )
        return cls(http, url)

    def __enter__(self) -> Client:
        self._http.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.__exit__(kind, error, trace)

    def get(self, path: str, **query: Any) -> bytes:
        """The body of an answer."""
        return self._request("GET", path, params=_given(query)).content

    def list(self, path: str, limit: int, **query: Any) -> Page:
        """A list, page after page, up to `limit` entries."""
        entries: list[msgspec.Raw] = []
        answer = self._request("GET", path, params=_given({**query, "limit": min(limit, PAGE_SIZE)}))
        while True:
            entries += decoded(answer.content, list[msgspec.Raw])
            following = _NEXT.search(answer.headers.get("link", ""))
            if following is None or len(entries) >= limit:
                break
            answer = self._request("GET", following[1])
        total = int(answer.headers.get("mission-control-total", len(entries)))
        entries = entries[:limit]
        return Page(msgspec.json.encode(entries), max(total, len(entries)), len(entries))

    def post(self, path: str, body: object = None, **query: Any) -> bytes:
        """Change something."""
        return self._request("POST", path, json=body, params=_given(query)).content

    def post_once(self, path: str, body: object = None) -> bytes:
        """Create or start something, once, even if the connection is lost before the answer comes."""
        once = {"Idempotency-Key": str(uuid.uuid4())}
        try:
            return self._send("POST", path, json=body, headers=once).content
        except (httpx2.NetworkError, httpx2.RemoteProtocolError):
            return self._request("POST", path, json=body, headers=once).content

    def patch(self, path: str, body: object) -> bytes:
        return self._request("PATCH", path, json=body).content

    def delete(self, path: str) -> None:
        self._request("DELETE", path)

    @contextmanager
    def download(self, path: str, **query: Any) -> Generator[Iterator[bytes]]:
        """A long answer, as it comes."""
        try:
            with self._http.stream("GET", path, params=_given(query)) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refused(answer)
                yield answer.iter_bytes()
        except httpx2.TransportError as error:
            raise self._unreachable(error) from None

    @contextmanager
    def events(self, task_id: str, after: int) -> Generator[Iterator[Envelope]]:
        """The events of a task after a position, then live, over one connection.

        Raises Lost when it ends and may be opened again, Failed otherwise.
        """
        path = f"{MISSION_CONTROL}/activity/stream"
        query = {"taskId": task_id, "after": after}
        timeout = httpx2.Timeout(ANSWER_SECONDS_MAX, read=QUIET_SECONDS_MAX)
        try:
            with self._http.sse(path, params=query, timeout=timeout, max_event_size=EVENT_BYTES_MAX) as source:
                answer = source.response
                if answer.status_code == 429 or answer.status_code >= 500:
                    raise Lost(f"the server answers {answer.status_code}")
                if not answer.is_success:
                    answer.read()
                    raise _refused(answer)
                yield _envelopes(source)
        except httpx2.SSEError as error:
            raise Failed(f"The server's stream is not understood: {error}") from None
        except httpx2.TransportError as error:
            raise Lost(_reason(error)) from None

    def _send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        answer = self._http.request(method, path, **_given(request))
        if answer.is_success:
            return answer
        raise _refused(answer)

    def _request(self, method: str, path: str, **request: Any) -> httpx2.Response:
        try:
            return self._send(method, path, **request)
        except httpx2.TransportError as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: httpx2.TransportError) -> Failed:
        return Failed(f"No answer from {self.name}: {_reason(error)}.", UNREACHABLE)


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value not in (None, [], ())}


def _envelopes(source: httpx2.EventSource) -> Iterator[Envelope]:
    decode = msgspec.json.Decoder(Envelope).decode
    for message in source:
        if message.event == "reset":
            raise Failed("The server now has another log, so this cannot be followed any further. Watch it again.")
        if message.event == "message" and message.data:
            try:
                yield decode(message.data)
            except msgspec.DecodeError as error:
                raise Failed(f"The server's stream is not understood: {error}") from None
    raise Lost("the server closed the stream")


def _refused(answer: httpx2.Response) -> Failed:
    """A refusal as a sentence with its code."""
    exit_code = NOT_ALLOWED if answer.status_code in (401, 403) else FAILED
    try:
        problem = msgspec.json.decode(answer.content, type=_Problem)
    except msgspec.DecodeError:
        what = f"{answer.status_code} {answer.reason_phrase}".strip()
        return Failed(f"{answer.url.copy_with(query=None)} answers {what}. Is it a Mission Control server?", exit_code)
    return Failed(f"{one_line(problem.detail)} ({one_line(problem.code)})", exit_code)


def _reason(error: httpx2.TransportError) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "it took too long"
    return one_line(str(error)) or "the connection was lost"
