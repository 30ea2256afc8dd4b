"""The whole server as a process of its own, as people start it: with the demo, on a free port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2

from tests.support.waiting import until

START_SECONDS = 30


@dataclass
class ServerProcess:
    """A running server. `link` signs a browser in, once; `http` is a client with an admin key."""

    process: subprocess.Popen[str]
    url: str
    link: str
    data_dir: Path
    http: httpx2.AsyncClient

    def kill(self) -> None:
        """As the kernel does when memory is short: no goodbye."""
        self.process.kill()
        self.process.wait()

    async def stop(self, number: int = signal.SIGINT) -> int:
        """As Ctrl-C does; the exit code."""
        self.process.send_signal(number)
        return await anyio.to_thread.run_sync(self.process.wait)

    async def local(self, method: str, path: str) -> httpx2.Response:
        """A request through the administration socket, as the server's owner."""
        transport = httpx2.AsyncHTTPTransport(uds=str(self.data_dir / "control.sock"))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path)

    async def another_link(self) -> str:
        """Signs one more browser in, once."""
        return (await self.local("POST", "/api/auth/links")).json()["url"]

    async def desktop(self) -> dict[str, Any]:
        """The demo desktop, once it and its agent are ready."""

        async def ready() -> dict[str, Any] | None:
            desktops = (await self.http.get("/api/desktops")).json()
            return next((one for one in desktops if one["status"] == "running" and one["agentReady"]), None)

        found = await until(ready, "the demo desktop")
        assert found is not None
        return found

    async def run(self, content: str, type: str = "command", **facts: Any) -> dict[str, Any]:
        """Create a task on the demo desktop and start it."""
        desktop = await self.desktop()
        body = {"type": type, "content": content, "desktopId": desktop["id"], "run": True} | facts
        answer = await self.http.post("/api/mission-control/tasks", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def task(self, id: str) -> dict[str, Any]:
        """As it is now."""
        return (await self.http.get(f"/api/mission-control/tasks/{id}")).json()

    async def output(self, id: str) -> str:
        """What is recorded of it by now."""
        return (await self.http.get(f"/api/mission-control/tasks/{id}/output")).text

    async def said(self) -> str:
        """What it printed after its greeting; when it has ended."""
        assert self.process.stdout is not None
        return await anyio.to_thread.run_sync(self.process.stdout.read)

    async def ended(self, id: str) -> dict[str, Any]:
        """As it is when nothing runs any more."""

        async def look() -> dict[str, Any] | None:
            task = await self.task(id)
            return task if task["status"] not in ("pending", "running") else None

        found = await until(look, "the task's end", seconds=30)
        assert found is not None
        return found

    def resident_bytes(self) -> int:
        """The memory that the server holds now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def command_line(*arguments: str) -> list[str]:
    """The command `mission-control` of this environment."""
    return [sys.executable, "-m", "mission_control", *arguments]


@asynccontextmanager
async def open_server(
    data_dir: Path,
    *flags: str,
    demo: bool = True,
    port: int = 0,
    key: str | None = None,
    under: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> AsyncGenerator[ServerProcess]:
    """A server on this data directory; ended with its block, however that is left.

    `key` is one that an earlier server on the directory gave; `under` is a command that runs the server, as strace
    does; `environment` adds to its variables.
    """
    arguments = ["serve", "--port", str(port), "--data-dir", str(data_dir), *(["--demo"] if demo else []), *flags]
    with (data_dir.parent / f"{data_dir.name}.stderr").open("a") as stderr:
        process = subprocess.Popen(
            [*under, *command_line(*arguments)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    try:
        with anyio.fail_after(START_SECONDS):
            url, link = await anyio.to_thread.run_sync(_greeting, process, key is None, abandon_on_cancel=True)
        if key is None:
            made = await anyio.run_process(
                command_line("keys", "create", "tests", "--role", "admin", "--data-dir", str(data_dir))
            )
            key = made.stdout.decode().strip()
        async with httpx2.AsyncClient(base_url=url, headers={"x-api-key": key}, timeout=30) as http:
            yield ServerProcess(process, url, link, data_dir, http)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            await anyio.to_thread.run_sync(lambda: process.wait(15))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _greeting(process: subprocess.Popen[str], is_first: bool) -> tuple[str, str]:
    """Its address, and the link that it shows while it has no keys."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        url = re.search(r"on (https?://\S+)", said)
        link = re.search(r"Open\s+(\S+#signin=\S+)", said)
        if url and (link or "Make a link" in said or not is_first):
            return url[1], link[1] if link else ""
    raise AssertionError(f"The server did not start. It said: {said!r}")
