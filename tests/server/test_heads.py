"""The log's head is posted to a webhook, whatever receives it: a real HTTP server that answers as it likes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest

from mission_control import heads
from mission_control.config import Config, ConfigError, load_config
from mission_control.heads import note_heads
from mission_control.log.heads import Head
from mission_control.log.sqlite import open_sqlite_log
from tests.support.server_process import ServerProcess, open_server
from tests.support.waiting import until

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
SETTINGS = "/api/mission-control/settings"


@dataclass
class Receiver:
    """What was posted, and what is answered to it; None keeps whoever posts waiting."""

    port: int
    answer: bytes | None = OK
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    asked: int = 0

    @property
    def url(self) -> str:
        return f"http://me:hunter2@127.0.0.1:{self.port}/heads?token=hunter2"

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            self.asked += 1
            received = b""
            while b"\r\n\r\n" not in received:
                received += await stream.receive()
            head, _, body = received.partition(b"\r\n\r\n")
            fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
            while len(body) < int(fields["content-length"]):
                body += await stream.receive()
            assert fields["content-type"] == "application/json"
            self.requests.append((head.decode().split("\r\n")[0], json.loads(body)))
            try:
                if self.answer is None:
                    await stream.receive()  # until the other end goes
                else:
                    await stream.send(self.answer)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass

    def has(self, head: dict[str, Any]) -> bool:
        return any(body == head for _, body in self.requests)


@asynccontextmanager
async def receiving(port: int = 0, answer: bytes | None = OK) -> AsyncGenerator[Receiver]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    receiver = Receiver(listener.extra(anyio.abc.SocketAttribute.local_port), answer)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, receiver.serve)
        yield receiver
        group.cancel_scope.cancel()


async def moved_head(server: ServerProcess, *, mode: bool) -> dict[str, Any]:
    """The head after one more change."""
    assert (await server.http.patch(SETTINGS, json={"taskApprovalMode": mode})).status_code == 200
    return (await server.http.get("/api/mission-control/log/head")).json()


def stderr(server: ServerProcess) -> str:
    return (server.data_dir.parent / f"{server.data_dir.name}.stderr").read_text()


async def test_each_head_is_posted_and_what_a_receiver_missed_the_next_one_stands_for(tmp_path: Path):
    async with receiving() as receiver:
        flags = ("--head-webhook", receiver.url, "--head-every", "1")
        port = receiver.port
        async with open_server(tmp_path / "data", *flags, demo=False) as server:
            head = await moved_head(server, mode=True)
            await until(lambda: receiver.has(head), "the head")
            assert receiver.requests[-1][0].startswith("POST /heads?token=hunter2 ")
            seqs = [body["seq"] for _, body in receiver.requests]
            assert seqs == sorted(set(seqs)), "one that has not moved is not posted again"

            receiver.answer = b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n"
            head = await moved_head(server, mode=False)
            await until(lambda: [body for _, body in receiver.requests].count(head) > 1, "another try")
            assert "it answers 500" in stderr(server)
            receiver.answer = OK
            head = await moved_head(server, mode=True)
            await until(lambda: receiver.has(head), "the head, when it works again")
            assert "hunter2" not in stderr(server), "what may be a secret in the address is not logged"

            # A redirect leads to where nobody said that the head may go.
            async with receiving() as elsewhere:
                where = f"http://127.0.0.1:{elsewhere.port}/".encode()
                receiver.answer = b"HTTP/1.1 307 Go\r\nlocation: " + where + b"\r\ncontent-length: 0\r\n\r\n"
                head = await moved_head(server, mode=False)
                await until(lambda: "it answers 307" in stderr(server), "the redirect to be refused")
                assert elsewhere.asked == 0
            assert (await server.http.get("/readyz")).status_code == 200
    async with open_server(tmp_path / "data", *flags, demo=False, key=server.http.headers["x-api-key"]) as server:
        await until(lambda: stderr(server).count("could not be noted") > 2, "it to say that nobody is there")
        head = await moved_head(server, mode=True)
        assert (await server.http.get("/readyz")).status_code == 200
        async with receiving(port) as receiver:
            await until(lambda: receiver.has(head), "the head, when somebody is there")
        assert "Traceback" not in stderr(server) and "hunter2" not in stderr(server)


@pytest.mark.parametrize(
    "answer",
    [None, b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n" + b"x" * 100_000],
    ids=["nothing", "the beginning of an answer", "an answer that is longer than anybody reads"],
)
async def test_a_receiver_that_does_not_come_to_an_end_delays_neither_the_next_head_nor_the_file(
    tmp_path: Path, answer: bytes | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(heads, "POST_SECONDS", 0.2)
    noted: list[Head] = []

    async def append(_: Path, head: Head) -> bool:
        noted.append(head)
        return False  # again and again

    monkeypatch.setattr(heads, "_append", append)
    async with (
        receiving(answer=answer) as receiver,
        open_sqlite_log(tmp_path) as log,
        anyio.create_task_group() as group,
    ):
        config = Config(head_webhook=receiver.url, head_file=tmp_path / "heads", head_every=1)
        group.start_soon(note_heads, log, config)
        is_taken = answer is not None and answer.startswith(b"HTTP/1.1 200")
        await until(lambda: len(noted) > 2 and receiver.asked >= (1 if is_taken else 2), "the next heads")
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    "url", ["ftp://a/", "https://", "http://[::1", "http://a:70000/", "http://a b/", "//a/", "http://ä/"]
)
def test_what_is_no_address_is_said_at_the_start(url: str):
    with pytest.raises(ConfigError, match="webhook"):
        load_config({"head_webhook": url}, {})
