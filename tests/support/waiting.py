"""Waiting for a state, never for time to pass: with a deadline that only a failure reaches."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

import anyio

DEADLINE_SECONDS = 20.0  # far above what anything takes, on a loaded machine too
LOOK_SECONDS = 0.01  # between two looks at something that cannot tell by itself

T = TypeVar("T")


async def until(look: Callable[[], T | Awaitable[T]], what: str = "the state", seconds: float = DEADLINE_SECONDS) -> T:
    """The first true value that `look` gives. Fails with what it gave last when the deadline has passed.

    For what has no event to wait on: another process, a file, a page. Where there is one, wait on that.
    """
    seen: object = None
    with anyio.move_on_after(seconds):
        while True:
            found = look()
            value = cast(T, await found if inspect.isawaitable(found) else found)
            if value:
                return value
            seen = value
            await anyio.sleep(LOOK_SECONDS)
    raise AssertionError(f"Waited {seconds:.0f} s for {what}; last seen: {seen!r}")
