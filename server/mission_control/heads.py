"""Notes the log's head outside at regular times: in a file, and at a webhook."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx2
import msgspec
import structlog

from .config import Config
from .log.heads import Head, head_of
from .log.sqlite import SqliteLog

POST_SECONDS = 10.0  # from the look-up of the name to the head of the answer

_logger = structlog.get_logger(__name__)


async def note_heads(log: SqliteLog, config: Config) -> None:
    """Note the head now and every `head_every` seconds, where it has moved; never ends. What fails is logged, and is
    made up for by the next head, which stands for everything before it. File and webhook do not wait for each other."""
    async with anyio.create_task_group() as group:
        if config.head_file:
            group.start_soon(_keep_noting, log, config.head_every, partial(_append, config.head_file))
        if config.head_webhook:
            group.start_soon(_keep_noting, log, config.head_every, partial(_post, config.head_webhook))


async def _keep_noting(log: SqliteLog, every_s: float, note: Callable[[Head], Awaitable[bool]]) -> None:
    noted = None
    while True:
        async with log.snapshot() as snapshot:
            head = await head_of(snapshot, log.log_id)
        if head.seq != noted and await note(head):
            noted = head.seq
        await anyio.sleep(every_s)


async def _append(path: Path, head: Head) -> bool:
    def write() -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(head) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    try:
        await anyio.to_thread.run_sync(write)
    except OSError as error:
        _logger.error("the log's head could not be noted", file=str(path), reason=str(error))
        return False
    return True


async def _post(url: str, head: Head) -> bool:
    """Only the status of the answer matters: its body is not read, and a redirect is not followed."""
    body, fields = msgspec.json.encode(head), {"Content-Type": "application/json"}
    reason = ""
    try:
        with anyio.fail_after(POST_SECONDS):
            async with (
                httpx2.AsyncClient() as client,
                client.stream("POST", url, content=body, headers=fields) as answer,
            ):
                if not answer.is_success:
                    reason = f"it answers {answer.status_code}"
    except TimeoutError:
        reason = f"it did not answer within {POST_SECONDS:.0f} s"
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        reason = str(error) or type(error).__name__
    if reason:
        _logger.error("the log's head could not be noted", webhook=_without_secrets(url), reason=reason)
    return not reason


def _without_secrets(url: str) -> str:
    """Where it is, without the user, path and query that often hold a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
