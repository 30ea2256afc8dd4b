"""`POST /tasks`, durable, with key, limits and history on: requests a second and their times, at 1, 8, 32 connections.

The reference is the stack's ceiling: the same uvicorn and Starlette, in a process of its own, that read the same body
and answer with a constant of the same size. All are asked in turns by the same client; the median round counts.

With --prefect PROGRAM, Prefect's server creates flow runs beside them, on its own SQLite file. To have one:

    python3 -m venv /tmp/prefect && /tmp/prefect/bin/pip install prefect
    scripts/bench api --prefect /tmp/prefect/bin/prefect

It may refuse, or drop a connection: those are its `errors`, and such an answer counts for none.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, cast

import httpx2
import uvicorn
import uvloop
from _support import Measured, open_server, options_of, quantile, report
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

CONNECTIONS = (1, 8, 32)
BEYOND = "1000000000"  # requests a minute: the limit is counted, and not met


class Caller(asyncio.Protocol):
    """One connection that asks, waits for the whole answer, and asks again."""

    def __init__(self, request: bytes, until: float, took: list[float]) -> None:
        self._request, self._until, self._took = request, until, took
        self._buffer = b""
        self.errors = 0
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
        now = time.perf_counter()
        if head.startswith(b"HTTP/1.1 201"):
            self._took.append(now - self._began)
        else:
            self.errors += 1
        self._buffer = b""
        if now < self._until:
            self._ask()
        else:
            self._transport.close()
            self.over.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():  # the server closed it
            self.errors += 1
            self.over.set_result(None)


class Round(NamedTuple):
    """What one server did in one round: answers a second, how long each took in seconds, and what was no answer."""

    rate: float
    took: list[float]
    errors: int


async def ask(port: int, request: bytes, connections: int, seconds: float) -> Round:
    """Ask for so many seconds, on so many connections at once."""
    took: list[float] = []
    began = time.perf_counter()
    callers = [Caller(request, began + seconds, took) for _ in range(connections)]
    loop = asyncio.get_running_loop()
    for caller in callers:
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)
    await asyncio.gather(*(caller.over for caller in callers))
    return Round(len(took) / (time.perf_counter() - began), took, sum(caller.errors for caller in callers))


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


@contextmanager
def ceiling(size: int) -> Generator[int]:
    """A process that answers with a constant of so many bytes; its port."""
    process = subprocess.Popen([sys.executable, __file__, "--constant", str(size)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        _end(process)


@contextmanager
def prefect(program: str, folder: Path) -> Generator[tuple[int, bytes]]:
    """Prefect's server with nothing but its API; its port, and the request that creates a flow run."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    home = {"PREFECT_HOME": str(folder), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    command = [program, "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-services", "--no-ui"]
    process = subprocess.Popen(command, env=os.environ | home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}/api", timeout=30) as http:
            for _ in range(600):
                if process.poll() is not None:
                    raise SystemExit(f"{program} server start ended with {process.returncode}.")
                try:
                    if http.get("/health").status_code == 200:
                        break
                except httpx2.TransportError:
                    time.sleep(0.1)
            flow = http.post("/flows/", json={"name": "hello"}).raise_for_status().json()["id"]
        body = json.dumps({"flow_id": flow, "parameters": {"content": "echo hello"}}).encode()
        yield port, request_of(port, "/api/flow_runs/", body, "")
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


async def main() -> None:
    options = options_of(__doc__, seconds=4, rounds=3, prefect="")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        async with open_server(folder / "data", "--requests-per-minute", BEYOND, demo=False) as server:
            new = {"name": "nowhere", "ssh": {"host": "localhost", "port": 1, "auth": {"kind": "agent"}}}
            desktop = (await server.http.post("/api/desktops", json=new)).json()["id"]
            body = b'{"type": "command", "content": "echo hello", "desktopId": "%s"}' % desktop.encode()
            size = len((await server.http.post("/api/mission-control/tasks", content=body, headers=JSON)).content)
            constant = stack.enter_context(ceiling(size))
            port, key = int(server.url.rpartition(":")[2]), server.http.headers["x-api-key"]
            asked = {
                "ceiling": (constant, request_of(constant, "/", body, key)),
                "ours": (port, request_of(port, "/api/mission-control/tasks", body, key)),
            }
            if options.prefect:
                asked["Prefect"] = stack.enter_context(prefect(options.prefect, folder / "prefect"))
            rows = [row for connections in CONNECTIONS for row in await measure(asked, connections, options)]
    report(options, rows, answer_bytes=size)


async def measure(asked: dict[str, tuple[int, bytes]], connections: int, options: argparse.Namespace) -> list[Measured]:
    """A row for each server, at so many connections."""
    rounds = [
        {name: await ask(port, request, connections, options.seconds) for name, (port, request) in asked.items()}
        for _ in range(options.rounds)
    ]
    assert not any(one["ours"].errors for one in rounds), "every request of ours is answered"
    return [
        {
            "connections": connections,
            "server": name,
            "answers/s": statistics.median(one[name].rate for one in rounds),
            "of the ceiling": statistics.median(one[name].rate / one["ceiling"].rate for one in rounds),
            "p50 ms": statistics.median(quantile(one[name].took, 0.5) for one in rounds) * 1000,
            "p99 ms": statistics.median(quantile(one[name].took, 0.99) for one in rounds) * 1000,
            "errors": sum(one[name].errors for one in rounds),
        }
        for name in asked
    ]


JSON = {"content-type": "application/json"}

if __name__ == "__main__":
    if "--constant" in sys.argv:
        serve_constant(int(sys.argv[-1]))
    else:
        uvloop.run(main())
