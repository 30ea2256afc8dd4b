"""Notes the log's head outside at regular times: in a file, and at a webhook."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import anyio.to_thread
import httpx2
import msgspec
import structlog

from .config import Config
from .log.heads import Head, head_of
from .log.sqlite import SqliteLog

POST_SECONDS = 10.0

_logger = structlog.get_logger(__name__)


async def note_heads(log: SqliteLog, config: Config) -> None:
    """Note the head now and every `head_every` seconds, where it has moved; never ends. What fails is logged, and is
    made up for by the next head, which stands for everything before it."""
    noted: dict[str, int] = {}
    while True:
        async with log.snapshot() as snapshot:
            head = await head_of(snapshot, log.log_id)
        if config.head_file and noted.get("file") != head.seq and await _append(config.head_file, head):
            noted["file"] = head.seq
        if config.head_webhook and noted.get("webhook") != head.seq and await _post(config.head_webhook, head):
            noted["webhook"] = head.seq
        await anyio.sleep(config.head_every)


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
    try:
        async with httpx2.AsyncClient(timeout=POST_SECONDS) as client:
            answer = await client.post(
                url, content=msgspec.json.encode(head), headers={"Content-Type": "application/json"}
            )
            answer.raise_for_status()
    except httpx2.HTTPError as error:
        _logger.error("the log's head could not be noted", webhook=url.partition("?")[0], reason=str(error))
        return False
    return True
