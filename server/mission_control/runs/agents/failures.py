"""Every way in which asking an agent ends badly: a stable code, and a sentence that says what to do."""

from __future__ import annotations

from typing import NamedTuple

from ...domain.values import Error
from .foreign import quoted

OPENCLAW_SWITCH = "gateway.http.endpoints.chatCompletions.enabled"


class Failure(NamedTuple):
    """A way in which an answer ends badly: its stable code, and a format string for the sentence that people read."""

    code: str
    sentence: str


UNREACHABLE = Failure(
    "agent_unreachable",
    "The agent's endpoint at {url} could not be reached: {reason}. Check that the agent runs and the URL is right.",
)
UNAUTHORIZED = Failure(
    "agent_unauthorized",
    "The agent's endpoint refused the token ({status}){said}. Enter the right token on the desktop.",
)
NOT_FOUND = Failure(
    "agent_not_found",
    "There is no chat endpoint at {url}, or it does not know the model ({status}){said}. "
    "Check the agent's URL (it usually ends in /v1) and model on the desktop.",
)
NOT_FOUND_OPENCLAW = Failure(
    "agent_not_found",
    "There is no chat endpoint at {url} ({status}){said}. OpenClaw has it switched off by default: set "
    + OPENCLAW_SWITCH
    + " to true in its configuration and restart the gateway.",
)
REJECTED = Failure(
    "agent_rejected",
    "The agent's endpoint did not accept the request ({status}){said}. "
    "Change what it names (the prompt, or the model on the desktop), then retry.",
)
REDIRECTED = Failure(
    "agent_redirected",
    "The agent's endpoint at {url} sends requests elsewhere ({status}), which is not followed, since the token would "
    "go there too. Enter the final address as the agent's URL.",
)
ADDRESS_REFUSED = Failure(
    "agent_address_refused",
    "The agent's endpoint at {url} was not asked: {reason}. An agent answers on its desktop's loopback; a further "
    "network is allowed by whoever starts the server, with --agent-network.",
)
BUSY = Failure("agent_busy", "The agent's endpoint is busy ({status}){said}.{wait} Retry the task later.")
ERROR = Failure("agent_error", "The agent failed{status}{said}. Look at the agent's own log, then retry.")
NOT_SSE = Failure(
    "agent_not_sse",
    "What answers at {url} is not a chat endpoint: it sent {what}. "
    "Check the agent's URL, and whether a proxy's sign-in page stands before it.",
)
TRUNCATED = Failure(
    "agent_stream_truncated",
    "The answer broke off before the agent was done{why}. What came so far is kept; retry to ask again.",
)
SILENT = Failure(
    "agent_silent",
    "The agent sent nothing for {seconds} s, so the request was closed. What came so far is kept; retry, or raise the "
    "idle limit if its work takes longer.",
)
BAD_STREAM = Failure(
    "agent_bad_stream",
    "The agent's answer cannot be read: {what}. Check that the URL leads to an OpenAI-compatible chat endpoint.",
)
CUT_SHORT = Failure(
    "agent_cut_short",
    "The answer was cut off at the model's length limit. What came so far is kept; ask for less at once, or raise the "
    "limit at the agent.",
)
CONTENT_FILTER = Failure(
    "agent_content_filter",
    "The model's content filter stopped the answer. What came so far is kept; word the prompt differently and retry.",
)
EMPTY = Failure("agent_empty", "The agent ended without an answer{why}. Retry, or look at the agent's own log.")

FAILURES = (
    UNREACHABLE, ADDRESS_REFUSED, UNAUTHORIZED, NOT_FOUND, NOT_FOUND_OPENCLAW, REJECTED, REDIRECTED, BUSY, ERROR,
    NOT_SSE, TRUNCATED, SILENT, BAD_STREAM, CUT_SHORT, CONTENT_FILTER, EMPTY,
)  # fmt: skip
"""Every failure that this module names, for the reference page and its check."""


def unreachable(url: str, reason: str) -> Error:
    """The failure of a request that got no answer at all: refused, timed out, unknown host, bad certificate."""
    return failed(UNREACHABLE, url=quoted(url), reason=quoted(reason).rstrip("."))


def address_refused(url: str, reason: str) -> Error:
    """The failure of a request to an address that may not be asked; nothing was sent."""
    return failed(ADDRESS_REFUSED, url=quoted(url), reason=quoted(reason).rstrip("."))


def went_silent(seconds: int) -> Error:
    """The failure of an answer in which nothing came for longer than the idle limit."""
    return failed(SILENT, seconds=seconds)


def failed(failure: Failure, **facts: object) -> Error:
    return Error(code=failure.code, message=failure.sentence.format(**facts))
