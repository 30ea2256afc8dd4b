"""How an answer ended, and whether to ask again: a pure decision about what is safe and wanted."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from ...domain.values import Error, Usage
from .failures import BUSY, REJECTED

ATTEMPTS_MAX = 5  # requests for one prompt while the endpoint says that it is busy
RETRY_WAIT_MS_MIN = 1_000  # before the second attempt; doubled for each further one
RETRY_WAIT_MS_MAX = 120_000  # an endpoint that asks for a longer wait fails the task, so that a person decides

assert RETRY_WAIT_MS_MIN * 2 ** (ATTEMPTS_MAX - 2) <= RETRY_WAIT_MS_MAX, "the backoff stays below its ceiling"


class Outcome(NamedTuple):
    """How an answer ended. It is done exactly if there is no error; `result` is what came, also of a failed one."""

    result: str | None
    usage: Usage | None
    error: Error | None
    finish_reason: str | None = None
    status: int = 200  # HTTP
    retry_after: str | None = None
    said: str = ""  # by the endpoint, in an error

    @property
    def is_done(self) -> bool:
        return self.error is None


class Attempt(NamedTuple):
    """One request for a prompt. `wait_ms` is the time before it, `notice` the sentence that tells people why."""

    number: int = 1
    include_usage: bool = True
    wait_ms: int = 0
    notice: str = ""


_OPTION_REFUSED = re.compile(
    r"stream_options|include_usage|unrecogni[sz]ed|unknown|unexpected|unsupported|not supported|"
    r"not permitted|extra (inputs|fields)|additional propert",
    re.IGNORECASE,
)


def next_attempt(attempt: Attempt, outcome: Outcome, *, now: datetime, jitter: float) -> Attempt | None:
    """The request to make after this one, or None when its outcome stands.

    `now` turns a Retry-After date into a wait; `jitter` (0 to 1) spreads the retries of many tasks. Only an answer
    that refused the request before it began is asked for again.
    """
    error = outcome.error
    if error is None:
        return None
    if error.code == REJECTED.code and attempt.include_usage and _OPTION_REFUSED.search(outcome.said):
        return Attempt(
            attempt.number + 1, False, 0, "The endpoint does not know stream_options; asking again without it."
        )
    if error.code != BUSY.code or attempt.number >= ATTEMPTS_MAX or "insufficient_quota" in outcome.said:
        return None
    wait_ms = RETRY_WAIT_MS_MIN * 2 ** (attempt.number - 1)
    wait_ms = wait_ms // 2 + int(wait_ms // 2 * jitter)
    asked_ms = _retry_after_ms(outcome.retry_after, now)
    if asked_ms is not None:
        wait_ms = max(wait_ms, asked_ms)
    if wait_ms > RETRY_WAIT_MS_MAX:
        return None
    return Attempt(
        attempt.number + 1,
        attempt.include_usage,
        wait_ms,
        f"The endpoint is busy ({outcome.status}); asking again in {-(-wait_ms // 1000)} s.",
    )


def _retry_after_ms(value: str | None, now: datetime) -> int | None:
    """A Retry-After header (RFC 9110, 10.2.3) as a wait: seconds, or a date."""
    value = (value or "").strip()
    if value.isascii() and value.isdigit():
        return int(value[:9]) * 1000
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0, int((date - now).total_seconds() * 1000))
