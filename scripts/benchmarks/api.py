"""`POST /tasks`, durable, with key, limits and history on: requests a second and their times, at 1, 8, 32 connections.

The reference is the stack's ceiling: the same uvicorn and Starlette, in a process of its own, that read the same body
and answer with a constant of the same size. Both are asked in turns by the same client; the median round counts.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

import uvicorn
import uvloop
from _support import open_server, options_of, quantile, report
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

CONNECTIONS = (1, 8, 32)
BEYOND = "1000000000"  # requests a minute: the limit is counted, and not met


class Caller(asyncio.Protocol):
    """One connection that asks, waits for the whole answer, and asks again."""

    def __init__(self, request: bytes, status: bytes, until: float, took: list[float]) -> None:
        self._request, self._status, self._until, self._took = request, status, until, took
        self._buffer = b""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._ask()

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        assert head.startswith(self._status), self._buffer[:500]
        now = time.perf_counter()
        self._took.append(now - self._began)
        self._buffer = b""
        if now < self._until:
            self._ask()
        else:
            self._transport.close()
            self.over.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(exc or ConnectionError("the server closed the connection"))


async def ask(port: int, request: bytes, status: bytes, connections: int, seconds: float) -> tuple[float, list[float]]:
    """Requests a second, and how long each took, in seconds."""
    took: list[float] = []
    began = time.perf_counter()
    callers = [Caller(request, status, began + seconds, took) for _ in range(connections)]
    loop = asyncio.get_running_loop()
    for caller in callers:
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)
    await asyncio.gather(*(caller.over for caller in callers))
    return len(took) / (time.perf_counter() - began), took


def request_of(port: int, path: str, body: bytes, key: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nx-api-key: {key}\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def serve_constant(size: int) -> None:
    """The ceiling: reads the body and answers with so many bytes, on a port that it prints."""
    constant = b'{"content":"' + b"x" * (size - 14) + b'"}'

    async def answer(request: Request) -> Response:
        await request.body()
        return Response(constant, 201, media_type="application/json")

    config = uvicorn.Config(
        Starlette(routes=[Route("/", answer, methods=["POST"])]), port=0, http="httptools", loop="uvloop",
        lifespan="off", log_config=None, access_log=False, server_header=False, proxy_headers=False,
    )  # fmt: skip
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listener.getsockname()[1], flush=True)
    uvloop.run(uvicorn.Server(config).serve([listener]))


async def main() -> None:
    options = options_of(__doc__, seconds=4, rounds=3)
    with tempfile.TemporaryDirectory() as folder:
        async with open_server(Path(folder) / "data", "--requests-per-minute", BEYOND, demo=False) as server:
            new = {"name": "nowhere", "ssh": {"host": "localhost", "port": 1, "auth": {"kind": "agent"}}}
            desktop = (await server.http.post("/api/desktops", json=new)).json()["id"]
            body = b'{"type": "command", "content": "echo hello", "desktopId": "%s"}' % desktop.encode()
            size = len((await server.http.post("/api/mission-control/tasks", content=body, headers=JSON)).content)
            ceiling = subprocess.Popen([sys.executable, __file__, "--constant", str(size)], stdout=subprocess.PIPE)  # noqa: ASYNC220 - before the clock runs
            try:
                assert ceiling.stdout is not None
                constant = int(await asyncio.to_thread(ceiling.stdout.readline))
                port = int(server.url.rpartition(":")[2])
                key = server.http.headers["x-api-key"]
                ours = request_of(port, "/api/mission-control/tasks", body, key)
                theirs = request_of(constant, "/", body, key)
                rows = []
                for connections in CONNECTIONS:
                    rounds = []
                    for _ in range(options.rounds):
                        most, _ = await ask(constant, theirs, b"HTTP/1.1 201", connections, options.seconds)
                        rate, took = await ask(port, ours, b"HTTP/1.1 201", connections, options.seconds)
                        rounds.append((rate / most, rate, most, took))
                    rows.append({
                        "connections": connections,
                        "tasks/s": statistics.median(rate for _, rate, _, _ in rounds),
                        "ceiling/s": statistics.median(most for _, _, most, _ in rounds),
                        "ratio": statistics.median(ratio for ratio, _, _, _ in rounds),
                        "p50 ms": statistics.median(quantile(took, 0.5) for *_, took in rounds) * 1000,
                        "p99 ms": statistics.median(quantile(took, 0.99) for *_, took in rounds) * 1000,
                    })  # fmt: skip
            finally:
                ceiling.kill()
                ceiling.wait()
                if ceiling.stdout:
                    ceiling.stdout.close()
    report(options, rows, answer_bytes=size)


JSON = {"content-type": "application/json"}

if __name__ == "__main__":
    if "--constant" in sys.argv:
        serve_constant(int(sys.argv[-1]))
    else:
        uvloop.run(main())
