"""A battery of bad requests and sockets against a real server: what each is, what may answer it, and what did."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import httpx2

from tests.support.server_process import ServerProcess, command_line, open_server

MC, WS = "/api/mission-control", "/api/mission-control/activity/ws"
WAIT_SECONDS = 30  # a last resort: for the server's limits (10 s for a head), not for its speed
SEED = 20260301


class Answer(NamedTuple):
    """What came back. `word` is a status with its problem code, `closed`, or `ws` and what the socket said."""

    word: str
    raw: bytes = b""


@dataclass
class Target:
    """The server, and what an attacker may have got hold of."""

    host: str
    port: int
    keys: dict[str, str]
    key_ids: dict[str, str]
    session: str  # a signed-in browser's cookie
    desktop: str
    http: httpx2.Client
    origin: str = field(init=False)

    def __post_init__(self) -> None:
        self.origin = f"http://{self.host}:{self.port}"

    def head(self) -> int:
        """How many changes the log holds, but those of the server itself and its notes of wrong keys."""
        events = self.http.get(f"{MC}/activity?limit=1000").json()
        return sum(event["actor"]["id"] != "system" and event["type"] != "auth.failed" for event in events)

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), WAIT_SECONDS)

    def send(self, data: bytes, *, stop: bool = True) -> Answer:
        """Send bytes as they are, and read until the server closes or one whole answer is there."""
        with self.connect() as link:
            try:
                link.sendall(data)
                if stop:
                    link.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it had enough before the end
            return read_answer(link)

    def request(
        self,
        method: str = "GET",
        path: str = f"{MC}/overview",
        body: bytes = b"",
        *fields: str,
        key: str | None = "admin",
        host: str | None = None,
        json_body: bool = True,
    ) -> Answer:
        """One well-formed request with whatever fields."""
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {host or f'{self.host}:{self.port}'}",
            "Connection: close",
            *fields,
        ]
        if key:
            lines.append(f"x-api-key: {self.keys.get(key, key)}")
        if body or method in ("POST", "PATCH"):
            lines.append(f"Content-Length: {len(body)}")
            if json_body and not any(line.lower().startswith("content-type") for line in fields):
                lines.append("Content-Type: application/json")
        return self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body, stop=False)

    def upgrade(self, *fields: str, key: str | None = "viewer", path: str = WS, version: str = "13") -> WebSocket:
        """Ask for a WebSocket, and keep it when it is granted."""
        link = self.connect()
        nonce = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {self.host}:{self.port}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {nonce}", f"Sec-WebSocket-Version: {version}", *fields]  # fmt: skip
        if key:
            lines.append(f"x-api-key: {self.keys[key]}")
        link.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        return WebSocket(link, read_answer(link, one_head=True))


def read_answer(link: socket.socket, *, one_head: bool = False) -> Answer:
    """One answer of HTTP, or how the connection ended."""
    raw = bytearray()
    try:
        while True:
            head, separator, body = bytes(raw).partition(b"\r\n\r\n")
            if separator:
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                if head.startswith(b"HTTP/1.1 101") or (one_head and not length):
                    break
                if length and len(body) >= int(length[1]):
                    break
            data = link.recv(65536)
            if not data:
                break
            raw += data
    except TimeoutError:
        return Answer("silent", bytes(raw))
    except ConnectionResetError:
        pass
    if not raw:
        return Answer("closed")
    status = bytes(raw[9:12]).decode("latin-1")
    code = re.search(rb'"code": ?"(\w+)"', bytes(raw))
    return Answer(f"{status} {code[1].decode()}" if code else status, bytes(raw))


class WebSocket:
    """A WebSocket by hand: frames of any shape."""

    def __init__(self, link: socket.socket, answer: Answer) -> None:
        self._link = link
        self.answer = answer
        self._buffer = answer.raw.partition(b"\r\n\r\n")[2]

    def frame(
        self, payload: bytes, *, opcode: int = 1, fin: bool = True, mask: bool = True, bits: int = 0
    ) -> WebSocket:
        size = len(payload)
        head = bytes([(0x80 if fin else 0) | bits | opcode])
        flag = 0x80 if mask else 0
        if size < 126:
            head += bytes([flag | size])
        else:
            head += (
                bytes([flag | 126]) + struct.pack("!H", size)
                if size < 65536
                else bytes([flag | 127]) + struct.pack("!Q", size)
            )
        pattern = b"\x01\x02\x03\x04"
        if mask:
            payload = bytes(byte ^ pattern[at % 4] for at, byte in enumerate(payload))
        return self.raw(head + (pattern if mask else b"") + payload)

    def say(self, message: object) -> WebSocket:
        return self.frame(message if isinstance(message, bytes) else json.dumps(message).encode())

    def raw(self, data: bytes) -> WebSocket:
        try:
            self._link.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def messages(self) -> list[tuple[int, bytes]]:
        """The next frames: opcode and payload; nothing more once it is closed."""
        found: list[tuple[int, bytes]] = []
        while len(self._buffer) >= 2:
            size, at = self._buffer[1] & 0x7F, 2
            if size == 126:
                size, at = struct.unpack("!H", self._buffer[2:4])[0], 4
            elif size == 127:
                size, at = struct.unpack("!Q", self._buffer[2:10])[0], 10
            if len(self._buffer) < at + size:
                break
            found.append((self._buffer[0] & 15, self._buffer[at : at + size]))
            self._buffer = self._buffer[at + size :]
        return found

    def until(self, *, op: str | None = None) -> Answer:
        """The first error, or message of a kind, or how it was closed; `hello` and heartbeats are passed over."""
        if not self.answer.word.startswith("101"):
            return self.answer
        with self._link:
            while True:
                for opcode, payload in self.messages():
                    if opcode == 8:
                        return Answer(
                            f"ws closed {struct.unpack('!H', payload[:2])[0] if len(payload) > 1 else 'plainly'}"
                        )
                    if opcode == 1:
                        said = json.loads(payload)
                        if said["op"] == "error":
                            return Answer(f"ws error {said['code']}", payload)
                        if said["op"] == op:
                            return Answer(f"ws {op}", payload)
                try:
                    data = self._link.recv(65536)
                except TimeoutError:
                    return Answer("silent")
                except ConnectionResetError:
                    data = b""
                if not data:
                    return Answer("ws cut")
                self._buffer += data


class Attack(NamedTuple):
    """`expected` are the words that may answer, each as a whole or up to a blank: `400` stands for `400 host_refused`."""

    group: str
    name: str
    expected: tuple[str, ...]
    run: Callable[[Target], Answer]
    may_change: bool = False


ATTACKS: list[Attack] = []


def attack(
    group: str, name: str, *expected: str, may_change: bool = False
) -> Callable[[Callable[[Target], Answer]], Callable[[Target], Answer]]:
    def add(run: Callable[[Target], Answer]) -> Callable[[Target], Answer]:
        ATTACKS.append(Attack(group, name, expected, run, may_change))
        return run

    return add


def simple(group: str, name: str, expected: str, run: Callable[[Target], Answer]) -> None:
    ATTACKS.append(Attack(group, name, tuple(expected.split("|")), run))


# --- the shape of requests --------------------------------------------------------------------------------------------


def lines(target: Target, *fields: str, method: str = "POST", path: str = f"{MC}/tasks") -> bytes:
    head = [f"{method} {path} HTTP/1.1", f"Host: {target.host}:{target.port}", f"x-api-key: {target.keys['admin']}"]
    return "\r\n".join([*head, *fields]).encode("latin-1") + b"\r\n\r\n"


def smuggled(target: Target) -> bytes:
    """A second request, hidden in what one of two readers takes for a body."""
    return lines(target, "Content-Length: 0", method="POST", path=f"{MC}/settings-smuggled")


def one_answer(answer: Answer) -> Answer:
    """Whoever hid a request must not have it answered."""
    count = answer.raw.count(b"HTTP/1.1 ")
    return answer if count <= 1 else Answer(f"{count} answers", answer.raw)


simple("shape", "Content-Length and Transfer-Encoding", "400|closed", lambda t: one_answer(
    t.send(lines(t, "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + smuggled(t))))  # fmt: skip
simple("shape", "Transfer-Encoding twice", "400|501|closed", lambda t: one_answer(
    t.send(lines(t, "Transfer-Encoding: chunked", "Transfer-Encoding: identity") + b"0\r\n\r\n" + smuggled(t))))  # fmt: skip
simple("shape", "Transfer-Encoding: xchunked", "400|501|closed", lambda t: one_answer(
    t.send(lines(t, "Transfer-Encoding: xchunked") + b"0\r\n\r\n" + smuggled(t))))  # fmt: skip
simple("shape", "two different Content-Lengths", "400|closed", lambda t: one_answer(
    t.send(lines(t, "Content-Length: 0", "Content-Length: 60") + smuggled(t))))  # fmt: skip
simple("shape", "two equal Content-Lengths", "400|closed", lambda t: one_answer(
    t.send(lines(t, "Content-Length: 2", "Content-Length: 2") + b"{}")))  # fmt: skip
simple("shape", "Content-Length: +2", "400|closed", lambda t: t.send(lines(t, "Content-Length: +2") + b"{}"))
simple("shape", "Content-Length: -1", "400|closed", lambda t: t.send(lines(t, "Content-Length: -1")))
simple(
    "shape", "Content-Length of 30 digits", "400|413|closed", lambda t: t.send(lines(t, "Content-Length: " + "9" * 30))
)
simple("shape", "chunk size that overflows", "400|closed", lambda t: t.send(
    lines(t, "Transfer-Encoding: chunked", "Content-Type: application/json") + b"FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n"))  # fmt: skip
simple("shape", "a header folded over two lines", "400|closed|431", lambda t: t.send(
    lines(t, "X-Folded: one", " two", "Content-Length: 0", method="POST")))  # fmt: skip
simple("shape", "a blank before the colon", "400|closed", lambda t: t.send(lines(t, "Content-Length : 0")))
simple("shape", "a NUL in a header", "400|closed", lambda t: t.send(lines(t, "X-Nul: a\0b", method="GET")))
simple("shape", "a bare CR in a header", "400|closed", lambda t: t.send(lines(t, "X-Cr: a\rX-Evil: b", method="GET")))
simple("shape", "a header name with a blank", "400|closed", lambda t: t.send(lines(t, "X Evil: b", method="GET")))
simple("shape", "HTTP/0.9", "400|closed", lambda t: t.send(b"GET /\r\n\r\n"))
simple("shape", "HTTP/3.7", "400|505|closed", lambda t: t.send(b"GET / HTTP/3.7\r\nHost: localhost\r\n\r\n"))
simple("shape", "the preface of HTTP/2", "400|closed", lambda t: t.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
simple("shape", "a TLS hello in plain", "400|closed", lambda t: t.send(tls_hello()))
simple("shape", "random bytes", "400|closed", lambda t: t.send(random.Random(SEED).randbytes(20_000)))
simple("shape", "a method of 8 kB", "400|405|431|closed", lambda t: t.send(b"G" * 8192 + b" / HTTP/1.1\r\n\r\n"))
simple("shape", "an unknown method", "400|405|closed", lambda t: t.request("BREW", f"{MC}/tasks"))
simple("shape", "CONNECT to elsewhere", "400|404|405|closed", lambda t: t.send(
    b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n"))  # fmt: skip
simple("shape", "TRACE", "400|405|closed", lambda t: t.request("TRACE", f"{MC}/tasks"))
simple("shape", "an address of 100 kB", "400|404|414|431|closed", lambda t: t.request("GET", "/" + "a" * 100_000))
simple("shape", "a query value of 40 kB", "414|422", lambda t: t.request("GET", f"{MC}/tasks?q={'a' * 40_000}"))
simple(
    "shape",
    "a header of 1 MB",
    "400|431|closed",
    lambda t: t.request("GET", f"{MC}/tasks", b"", "X-Large: " + "a" * 1_000_000),
)
simple("shape", "20,000 headers", "400|431|closed", lambda t: t.request(
    "GET", f"{MC}/tasks", b"", *(f"X-{number}: a" for number in range(20_000))))  # fmt: skip
simple(
    "shape",
    "a request that never ends its head",
    "closed|400|408",
    lambda t: t.send(b"GET / HTTP/1.1\r\nHost: ", stop=False),
)
simple("shape", "two requests at once, the second forbidden", "200", lambda t: t.send(
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nDELETE /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n"))  # fmt: skip


def tls_hello() -> bytes:
    """What a client of TLS says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


# --- who asks, from where ---------------------------------------------------------------------------------------------

simple("host", "another Host (DNS rebinding)", "400 host_refused", lambda t: t.request(host="evil.example"))
simple("host", "our Host as a prefix", "400 host_refused", lambda t: t.request(host="localhost.evil.example"))
simple("host", "no Host", "400", lambda t: t.send(b"GET /healthz HTTP/1.1\r\n\r\n"))
simple("host", "Host twice", "400", lambda t: t.request("GET", "/healthz", b"", "Host: evil.example"))
simple(
    "host",
    "an absolute address of another host",
    "400|404|403",
    lambda t: t.request(path=f"http://evil.example{MC}/overview", host="evil.example"),
)
simple(
    "host",
    "an absolute address, and our Host",
    "200|400|404",
    lambda t: t.request(path=f"http://evil.example{MC}/overview"),
)
simple("host", "X-Forwarded-Host", "400 host_refused", lambda t: t.request(
    "GET", f"{MC}/overview", b"", "X-Forwarded-Host: localhost", "Forwarded: host=localhost", host="evil.example"))  # fmt: skip

for name, origin in {
    "foreign": "http://evil.example",
    "null": "null",
    "look-alike suffix": "http://localhost.evil.example",
    "another port": "http://127.0.0.1:1",
    "with a user": "http://127.0.0.1@evil.example",
    "a file": "file://",
}.items():
    simple("origin", f"Origin {name}, with a key", "403 origin_refused", lambda t, origin=origin: t.request(
        "POST", f"{MC}/tasks", b"{}", f"Origin: {origin}"))  # fmt: skip
    simple("origin", f"Origin {name}, with a cookie", "403 origin_refused", lambda t, origin=origin: t.request(
        "PATCH", f"{MC}/settings", b"{}", f"Origin: {origin}", f"Cookie: {t.session}", key=None))  # fmt: skip
    simple("origin", f"Origin {name}, WebSocket", "403 origin_refused", lambda t, origin=origin: t.upgrade(
        f"Origin: {origin}", f"Cookie: {t.session}", key=None).until())  # fmt: skip
simple("origin", "no Origin, with a cookie", "403 origin_refused", lambda t: t.request(
    "PATCH", f"{MC}/settings", b"{}", f"Cookie: {t.session}", key=None))  # fmt: skip
simple("origin", "no Origin, with a cookie, WebSocket", "403 origin_refused", lambda t: t.upgrade(
    f"Cookie: {t.session}", key=None).until())  # fmt: skip
simple("origin", "Origin twice", "403 origin_refused", lambda t: t.request(
    "POST", f"{MC}/tasks", b"{}", f"Origin: {t.origin}", f"Origin: {t.origin}"))  # fmt: skip

simple("who", "no key", "401 unauthorized", lambda t: t.request(key=None))
simple("who", "no key, WebSocket", "401 unauthorized", lambda t: t.upgrade(key=None).until())
simple("who", "no key, event stream", "401 unauthorized", lambda t: t.request(path=f"{MC}/activity/stream", key=None))
simple("who", "no key, description", "401 unauthorized", lambda t: t.request(path="/openapi.json", key=None))
simple("who", "a made-up key", "401 unauthorized", lambda t: t.request(key="mc_k_" + "a" * 43))
simple("who", "a key in the address", "401 unauthorized|422", lambda t: t.request(
    path=f"{MC}/overview?x-api-key={t.keys['admin']}", key=None))  # fmt: skip
simple("who", "a key of 30 kB", "401|431", lambda t: t.request(key="mc_k_" + "a" * 30_000))
simple("who", "a key that is not ASCII", "400|401", lambda t: t.request(key="mc_k_\xff\xfe"))
simple("who", "a made-up session", "401 unauthorized", lambda t: t.request(
    "GET", f"{MC}/overview", b"", f"Cookie: {t.session.partition('=')[0]}={'a' * 43}", key=None))  # fmt: skip
simple("who", "a viewer creates a task", "403 forbidden", lambda t: t.request(
    "POST", f"{MC}/tasks", task_body(t), key="viewer"))  # fmt: skip
simple("who", "an operator makes a key", "403 forbidden", lambda t: t.request(
    "POST", "/api/auth/api-keys", b'{"name": "mine", "role": "admin"}', key="operator"))  # fmt: skip
simple("who", "an admin key makes a sign-in link", "403 local_only", lambda t: t.request("POST", "/api/auth/links"))


def task_body(target: Target, **facts: object) -> bytes:
    return json.dumps({"type": "command", "content": "true", "desktopId": target.desktop} | facts).encode()


@attack("who", "a session that was signed out", "401 unauthorized", may_change=True)
def replayed(target: Target) -> Answer:
    cookie = sign_in(target.http, target.keys["viewer"])
    cookies = {"Cookie": cookie, "Origin": target.origin}
    assert httpx2.delete(f"{target.origin}/api/auth/session", headers=cookies).status_code == 204
    return target.request("GET", f"{MC}/overview", b"", f"Cookie: {cookie}", key=None)


def revoked(target: Target) -> tuple[str, str]:
    made = target.http.post("/api/auth/api-keys", json={"name": "short-lived", "role": "viewer"}).json()
    return made["key"], made["id"]


@attack("who", "a key revoked while its WebSocket is open", "ws closed 4401", "ws cut", may_change=True)
def revoked_socket(target: Target) -> Answer:
    target.keys["short"], id = revoked(target)
    opened = target.upgrade(key="short")
    opened.say({"op": "subscribe", "id": "a", "after": 0})
    target.http.delete(f"/api/auth/api-keys/{id}")
    return opened.until()


@attack("who", "a key revoked while its event stream is open", "ended", may_change=True)
def revoked_stream(target: Target) -> Answer:
    key, id = revoked(target)
    with target.connect() as link:
        link.sendall(f"GET {MC}/activity/stream HTTP/1.1\r\nHost: localhost\r\nx-api-key: {key}\r\n\r\n".encode())
        assert link.recv(65536).startswith(b"HTTP/1.1 200")
        target.http.delete(f"/api/auth/api-keys/{id}")
        try:
            while data := link.recv(65536):
                if data.endswith(b"0\r\n\r\n"):
                    break
        except ConnectionResetError:
            pass
        except TimeoutError:
            return Answer("still open")
    return Answer("ended")


# --- paths and methods ------------------------------------------------------------------------------------------------

for path in (
    "/../../etc/passwd", "/assets/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/assets/%2e%2e%2f%2e%2e%2fetc/passwd",
    "/..%5c..%5cetc%5cpasswd", "/assets//etc/passwd", "/%00", "/assets/index.js%00.html", "/.git/config",
    f"{MC}/tasks/..%2f..%2fapi-keys", f"{MC}/tasks/%00", f"{MC}/tasks/{'a' * 4000}", f"{MC}/tasks/%F0%9F%92%A9%E2%80%AE",
):  # fmt: skip
    shown = path if len(path) < 60 else f"{path[:40]}… ({len(path)} characters)"
    simple("path", shown, "404 not_found", lambda t, path=path: t.request(path=path))
simple("method", "GET with a side effect", "405 method_not_allowed", lambda t: t.request(path=f"{MC}/tasks/x/run"))
simple("method", "DELETE on a list", "405 method_not_allowed", lambda t: t.request("DELETE", f"{MC}/tasks"))
simple("method", "X-HTTP-Method-Override on GET", "200", lambda t: t.request(
    "GET", f"{MC}/tasks", b"", "X-HTTP-Method-Override: DELETE"))  # fmt: skip
simple("method", "_method in the query", "422 validation_failed", lambda t: t.request(path=f"{MC}/tasks?_method=POST"))
simple("method", "HEAD on an event stream", "405", lambda t: t.request("HEAD", f"{MC}/activity/stream"))
simple("method", "a WebSocket path without upgrade", "426 upgrade_required", lambda t: t.request(path=WS))
simple("method", "CRLF in a query, into a header", "200|422", lambda t: no_evil_header(
    t.request(path=f"{MC}/tasks?limit=1&label=a%0d%0aX-Evil:%20b")))  # fmt: skip


def no_evil_header(answer: Answer) -> Answer:
    return Answer("header injected") if b"\r\nx-evil" in answer.raw.lower() else answer


# --- bodies -----------------------------------------------------------------------------------------------------------

TASKS = f"{MC}/tasks"
FORM = "Content-Type: application/x-www-form-urlencoded"
for name, body, expected in (
    ("nothing", b"", "400 malformed_body"),
    ("a BOM", b"\xef\xbb\xbf{}", "400 malformed_body"),
    ("bytes that are not UTF-8", b'{"type": "\xff"}', "400 malformed_body"),
    ("UTF-16", '{"type": "command"}'.encode("utf-16"), "400 malformed_body"),
    ("a name that stands twice", b'{"type": "command", "type": "prompt"}', "400 malformed_body"),
    ("depth 100,000", b"[" * 100_000, "400 malformed_body"),
    ("depth 100,000 in a field", b'{"type": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, "400 malformed_body"),
    ("1e400", b'{"type": "command", "timeoutSeconds": 1e400}', "400 malformed_body"),
    ("NaN", b'{"type": "command", "timeoutSeconds": NaN}', "400 malformed_body"),
    ("an integer of 100,000 digits", b'{"timeoutSeconds": ' + b"9" * 100_000 + b"}", "400 malformed_body|422"),
    ("an integer of 300 digits", b'{"timeoutSeconds": ' + b"9" * 300 + b"}", "400 malformed_body|422"),
    ("a lone surrogate", b'{"type": "command", "content": "\\ud800", "desktopId": "x"}', "422 validation_failed"),
    ("a lone surrogate in a name", b'{"\\udfff": 1}', "422 validation_failed"),
    ("NUL in a command", b'{"type": "command", "content": "a\\u0000b", "desktopId": "x"}', "422 validation_failed"),
    ("a list for an object", b"[1, 2]", "422 validation_failed"),
    (
        "an unknown field",
        b'{"type": "command", "content": "x", "desktopId": "y", "isAdmin": true}',
        "422 validation_failed",
    ),
    ("__proto__", b'{"__proto__": {"role": "admin"}}', "422 validation_failed"),
    ("100,000 fields", b"{" + b",".join(b'"a%d":1' % n for n in range(100_000)) + b"}", "422|413"),
    ("2 MB", b'{"content": "' + b"a" * 2_000_000 + b'"}', "413 payload_too_large"),
):
    simple("body", name, expected, lambda t, body=body: t.request("POST", TASKS, body))
simple(
    "body", "a form", "415 unsupported_media_type", lambda t: t.request("POST", TASKS, b"type=command&content=id", FORM)
)
simple("body", "JSON as a form", "415 unsupported_media_type", lambda t: t.request("POST", TASKS, task_body(t), FORM))
simple(
    "body",
    "JSON as text/plain",
    "415 unsupported_media_type",
    lambda t: t.request("POST", TASKS, task_body(t), "Content-Type: text/plain"),
)
simple("body", "JSON in another charset", "415 unsupported_media_type", lambda t: t.request(
    "POST", TASKS, task_body(t), "Content-Type: application/json; charset=utf-7"))  # fmt: skip
simple("body", "gzip", "400 malformed_body|415", lambda t: t.request(
    "POST", TASKS, b"\x1f\x8b\x08\x00" + b"\0" * 100, "Content-Encoding: gzip"))  # fmt: skip
simple("body", "2 MB in chunks, without a length", "413 payload_too_large", lambda t: t.send(
    lines(t, "Transfer-Encoding: chunked", "Content-Type: application/json", "Connection: close")
    + (b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 64 + b"0\r\n\r\n", stop=False))  # fmt: skip
simple("body", "an Idempotency-Key of 10 kB", "422 validation_failed", lambda t: t.request(
    "POST", TASKS, task_body(t), "Idempotency-Key: " + "a" * 10_000))  # fmt: skip
for name, host in {
    "-oProxyCommand=id": "-oProxyCommand=id", "$(id)": "$(id)", ";id": "a;id", "a line end": "a\nb", "an RTL override": "a\u202eb",
    "--upload-pack": "--upload-pack=x", "empty": "",
}.items():  # fmt: skip
    simple("body", f"a desktop whose host is {name}", "422 validation_failed", lambda t, host=host: t.request(
        "POST", "/api/desktops", json.dumps(
            {"name": "x", "ssh": {"host": host, "auth": {"kind": "agent"}}}).encode()))  # fmt: skip
for url in (
    "file:///etc/passwd",
    "gopher://127.0.0.1:25/",
    "http://a@b/",
    "http://127.0.0.1:0/",
    "javascript:alert(1)",
    "//x",
):
    simple("body", f"an agent at {url}", "422 validation_failed", lambda t, url=url: t.request(
        "POST", "/api/desktops", json.dumps(
            {"name": "x", "ssh": {"host": "localhost", "auth": {"kind": "agent"}}, "agent": {"kind": "openai", "url": url}}
        ).encode()))  # fmt: skip


# --- cursors and queries ----------------------------------------------------------------------------------------------

for query in (
    "limit=0", "limit=-1", "limit=1001", "limit=1e9", "limit=1;drop", "limit=1&limit=2", "status=nonsense", "order=1%20or%201=1",
):  # fmt: skip
    simple(
        "query", f"tasks?{query}", "422 validation_failed", lambda t, query=query: t.request(path=f"{MC}/tasks?{query}")
    )
for query in ("before=-1", "before=9223372036854775808", "before=1.5", "before=null", "types=nonsense"):
    simple(
        "query",
        f"activity?{query}",
        "422 validation_failed",
        lambda t, query=query: t.request(path=f"{MC}/activity?{query}"),
    )
for query in ("after=-1", "after=x"):
    simple("query", f"activity/stream?{query}", "422 validation_failed", lambda t, query=query: t.request(
        path=f"{MC}/activity/stream?{query}"))  # fmt: skip
simple(
    "query",
    "SQL in a search",
    "200",
    lambda t: t.request(path=f"{MC}/tasks?q=%27%3B%20drop%20table%20events%3B--%20%25_"),
)


# --- the WebSocket ----------------------------------------------------------------------------------------------------

SUBSCRIBE = {"op": "subscribe", "id": "a"}
simple("socket", "another version", "400|426", lambda t: t.upgrade(version="7").until())
simple("socket", "at another path", "404 not_found", lambda t: t.upgrade(path=f"{MC}/tasks").until())
simple("socket", "not JSON", "ws error bad_message", lambda t: t.upgrade().say(b"{").until())
simple("socket", "an unknown op", "ws error bad_message", lambda t: t.upgrade().say({"op": "drop"}).until())
simple(
    "socket",
    "an unknown field",
    "ws error bad_message",
    lambda t: t.upgrade().say(SUBSCRIBE | {"role": "admin"}).until(),
)
simple(
    "socket", "depth 10,000", "ws error bad_message", lambda t: t.upgrade().say(b"[" * 10_000 + b"]" * 10_000).until()
)
simple(
    "socket", "a negative cursor", "ws error bad_cursor", lambda t: t.upgrade().say(SUBSCRIBE | {"after": -1}).until()
)
simple("socket", "a cursor of 40 digits", "ws reset", lambda t: t.upgrade().say(
    b'{"op": "subscribe", "id": "a", "after": ' + b"9" * 40 + b"}").until(op="reset"))  # fmt: skip
simple(
    "socket",
    "a cursor beyond the head",
    "ws reset",
    lambda t: t.upgrade().say(SUBSCRIBE | {"after": 10**12}).until(op="reset"),
)
simple("socket", "a cursor of another log", "ws reset", lambda t: t.upgrade().say(
    SUBSCRIBE | {"after": 1, "logId": "another"}).until(op="reset"))  # fmt: skip
simple(
    "socket",
    "an id of 1,000 characters",
    "ws error bad_message",
    lambda t: t.upgrade().say(SUBSCRIBE | {"id": "a" * 1000}).until(),
)
simple(
    "socket",
    "binary that is not UTF-8",
    "ws error bad_message",
    lambda t: t.upgrade().frame(b"\xff\xfe", opcode=2).until(),
)
simple("socket", "text that is not UTF-8", "ws closed 1007|ws cut", lambda t: t.upgrade().frame(b"\xff\xfe").until())
simple(
    "socket", "a frame without a mask", "ws closed 1002|ws cut", lambda t: t.upgrade().frame(b"{}", mask=False).until()
)
simple("socket", "reserved bits", "ws closed 1002|ws cut", lambda t: t.upgrade().frame(b"{}", bits=0x40).until())
simple("socket", "a reserved opcode", "ws closed 1002|ws cut", lambda t: t.upgrade().frame(b"{}", opcode=5).until())
simple(
    "socket",
    "a fragmented ping",
    "ws closed 1002|ws cut",
    lambda t: t.upgrade().frame(b"a", opcode=9, fin=False).until(),
)
simple(
    "socket", "a ping of 200 bytes", "ws closed 1002|ws cut", lambda t: t.upgrade().frame(b"a" * 200, opcode=9).until()
)
simple(
    "socket", "a continuation of nothing", "ws closed 1002|ws cut", lambda t: t.upgrade().frame(b"a", opcode=0).until()
)
simple("socket", "a close of one byte", "ws closed 1002|ws cut", lambda t: t.upgrade().frame(b"a", opcode=8).until())
simple(
    "socket",
    "a close with a forbidden code",
    "ws closed 1002|ws cut",
    lambda t: t.upgrade().frame(b"\x03\xed", opcode=8).until(),
)
simple(
    "socket",
    "a close of 200 bytes",
    "ws closed 1002|ws cut",
    lambda t: t.upgrade().frame(b"\x03\xe8" + b"a" * 200, opcode=8).until(),
)
simple("socket", "a frame of 100 kB", "ws closed 1009|ws cut", lambda t: t.upgrade().frame(b" " * 100_000).until())
simple("socket", "a message of 10 MB in fragments", "ws closed 1009|ws cut", lambda t: fragments(t.upgrade()).until())
simple("socket", "a frame that announces 2^63 bytes", "ws closed 1009|ws closed 1002|ws cut", lambda t: t.upgrade().raw(
    b"\x81\xff" + b"\xff" * 8 + b"\1\2\3\4").until())  # fmt: skip
simple("socket", "random frames", "ws closed 1002|ws cut|ws error bad_message", lambda t: t.upgrade().raw(
    random.Random(SEED).randbytes(50_000)).until())  # fmt: skip


def fragments(opened: WebSocket) -> WebSocket:
    opened.frame(b" " * 50_000, fin=False)
    for _ in range(200):
        opened.frame(b" " * 50_000, opcode=0, fin=False)
    return opened


@attack("socket", "a flood of 10,000 subscriptions", "ws error too_many_subscriptions")
def flood(target: Target) -> Answer:
    opened = target.upgrade()
    for number in range(10_000):
        opened.say(SUBSCRIBE | {"id": str(number)})
        if number == 200:
            found = opened.until()
            break
    else:
        raise AssertionError("never")
    return found


@attack("socket", "500 sockets that say nothing", "all open")
def idle(target: Target) -> Answer:
    opened = [target.upgrade() for _ in range(500)]
    words = {one.answer.word for one in opened}
    alive = target.request().word
    for one in opened:
        one._link.close()  # noqa: SLF001
    return Answer("all open" if words == {"101"} and alive == "200" else f"{words} {alive}")


@attack("slow", "200 connections that send a byte now and then", "200")
def slow(target: Target) -> Answer:
    held = [target.connect() for _ in range(200)]
    for link in held:
        link.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
    found = target.request()
    for link in held:
        link.close()
    return found


@attack("slow", "a body that stops", "408")
def stopped_body(target: Target) -> Answer:
    return target.send(lines(target, "Content-Length: 100", "Content-Type: application/json") + b'{"type"', stop=False)


@attack("slow", "wrong keys, over and over", "429 rate_limited")
def guesses(target: Target) -> Answer:
    found = Answer("never")
    for number in range(40):
        found = target.request(key=f"mc_k_{number:043}")
        if found.word.startswith("429"):
            break
    right = target.request()
    return found if right.word == "200" else Answer(f"the right key is locked out: {right.word}")


# --- the battery ------------------------------------------------------------------------------------------------------


def sign_in(http: httpx2.Client, key: str) -> str:
    """A browser's cookie."""
    origin = str(http.base_url).rstrip("/")
    answer = httpx2.post(f"{origin}/api/auth/session", json={"key": key}, headers={"Origin": origin})
    assert answer.status_code == 201, answer.text
    return answer.headers["set-cookie"].partition(";")[0]


def prepare(server: ServerProcess, http: httpx2.Client) -> Target:
    keys, ids = {"admin": server.http.headers["x-api-key"]}, dict[str, str]()
    for role in ("viewer", "operator"):
        made = http.post("/api/auth/api-keys", json={"name": role, "role": role}).json()
        keys[role], ids[role] = made["key"], made["id"]
    url = httpx2.URL(server.url)
    desktop = {"name": "nowhere", "ssh": {"host": "localhost", "port": 1, "auth": {"kind": "agent"}}}
    id = http.post("/api/desktops", json=desktop).json()["id"]
    http.post(f"/api/desktops/{id}/stop")  # it is not tried again and again, which would be events
    assert url.port is not None
    return Target("127.0.0.1", url.port, keys, ids, sign_in(http, keys["admin"]), id, http)


def fits(word: str, expected: tuple[str, ...]) -> bool:
    return any(word == one or word.startswith(f"{one} ") for one in expected)


async def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/attack")
    parser.add_argument("--only", default="", metavar="WORD", help="attacks whose group or name holds this")
    parser.add_argument("--go-on", action="store_true", help="do not end at the first surprise")
    given = parser.parse_args()
    only = given.only.lower()
    chosen = [one for one in ATTACKS if only in f"{one.group} {one.name}".lower()]
    surprises = 0
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        data = Path(folder) / "data"
        async with open_server(data, demo=False) as server:
            with httpx2.Client(base_url=server.url, headers=server.http.headers, timeout=WAIT_SECONDS) as http:
                target = await asyncio.to_thread(prepare, server, http)
                surprises = await asyncio.to_thread(play, chosen, target, go_on=given.go_on)
                alive = await asyncio.to_thread(lambda: http.get("/readyz").status_code)
            code = await server.stop()
        said = (data.parent / "data.stderr").read_text()
        failures = said.count("a request failed") + said.count("Exception in ASGI")
        command = command_line("log", "verify", "--data-dir", str(data))
        verified = await asyncio.to_thread(lambda: subprocess.run(command, check=False, capture_output=True, text=True))
        print(
            f"\n{len(chosen)} attacks, {surprises} surprises. Ready afterwards: {alive == 200}. Ended well: {not code}."
        )
        print(f"Failures inside: {failures}. The log: {(verified.stdout or verified.stderr).strip().splitlines()[-1]}")
        if failures:
            print(said[-3000:])
        return int(bool(surprises or alive != 200 or code or failures or verified.returncode))


def play(chosen: list[Attack], target: Target, *, go_on: bool) -> int:
    """Carry out the attacks, and print each with its answer; how many surprised. Ends at the first unless told."""
    surprises = 0
    print(f"{'group':8} {'attack':58} {'answer':34}")
    for one in chosen:
        before = target.head()
        found = one.run(target)
        changed = 0 if one.may_change else target.head() - before
        is_fine = fits(found.word, one.expected) and not changed
        print(f"{one.group:8} {one.name[:58]:58} {found.word[:34]:34}{'' if is_fine else '  <- surprise'}", flush=True)
        if not is_fine:
            print(f"  expected: {' or '.join(one.expected)}, and nothing changed; {changed} events came.")
            print(f"  {found.raw[:600]!r}\n  Again: scripts/attack --only {one.name!r}")
            surprises += 1
            if not go_on:
                break
    return surprises


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
