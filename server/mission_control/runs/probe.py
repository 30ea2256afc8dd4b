"""Is a desktop reachable, is it the right one, does its shell work, is its agent ready? Each step with its own answer.

A check opens a connection of its own and leaves nothing behind. It never sends a secret to a host whose key is not
confirmed, and an agent's token only to the URL that it belongs to: no redirect is followed, no proxy of the
environment is used.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import anyio
import httpx2
from msgspec import Struct

from ..domain.addresses import Network
from .agents.failures import address_refused
from .asking import AddressRefused, open_answer
from .connection import (
    LIMITS,
    Attempt,
    ConnectionLimits,
    FailureCode,
    SshConnection,
    SshFailure,
    SshTarget,
    offered_host_keys,
    open_connection,
)
from .direct import CommandRefused, open_command
from .errand import NoAnswer, ask_outpost
from .outpost_link import OutpostLink
from .protocol import Request

StepName = Literal["connect", "host_key", "authenticate", "shell", "outpost", "agent"]
STEPS: tuple[StepName, ...] = ("connect", "host_key", "authenticate", "shell", "outpost", "agent")

SHELL_S_MAX = 10.0  # a shell that has not answered `echo` by then is not usable for runs
NOISE_BYTES_MAX = 64 * 1024  # of what a shell's start-up files print
AGENT_S_MAX = 5.0  # a model list is cheap; an endpoint that is slower than this is busy starting
DETAIL_CHARACTERS_MAX = 300

LOST_ON_THE_WAY: frozenset[FailureCode] = frozenset({"connect_timeout", "connection_lost", "ssh_protocol_error"})


class Step(Struct, frozen=True):
    """One step of a check. `ok` is None when it was not tried; `code` is stable and only there when it failed."""

    name: StepName
    ok: bool | None
    detail: str
    ms: float = 0.0
    code: str | None = None


class AgentEndpoint(Struct, frozen=True):
    """Where an agent answers, as in OPENAI_BASE_URL, and the token that goes there."""

    url: str
    token: str | None = None
    kind: Literal["openai", "openclaw"] = "openai"
    via: Literal["ssh", "direct"] = "direct"
    networks: tuple[Network, ...] = ()  # that may be asked beside the desktop's loopback

    def __repr__(self) -> str:
        return f"AgentEndpoint({self.url!r}, kind={self.kind!r}, via={self.via!r})"


class OutpostFound(Struct, frozen=True):
    """How the outpost of a desktop stands, as the kept link to it says; `ok` is None where there is no link yet."""

    ok: bool | None
    detail: str
    code: str | None = None


class AgentReadiness(Struct, frozen=True):
    """Whether an agent endpoint would take a prompt now, and if not, why, in a sentence."""

    is_ready: bool
    detail: str
    code: str | None = None


async def check(
    target: SshTarget,
    agent: AgentEndpoint | None = None,
    *,
    outpost: OutpostFound | None = None,
    ask: OutpostLink | None = None,
    limits: ConnectionLimits = LIMITS,
) -> list[Step]:
    """Try everything that a task needs, in order; what comes after a failure is skipped, except the agent.

    `outpost` is what is known of it, `ask` the attached one, through which an agent of its desktop is asked.
    """
    attempt, steps = Attempt(), list[Step]()
    try:
        if (
            target.host_key is None and not target.host_authorities
        ):  # nobody is logged in there, but whether it answers can be said
            await offered_host_keys(target, limits=limits)
            attempt.connected_s = monotonic()
        async with open_connection(target, limits=limits, attempt=attempt) as connection:
            steps += _connected(attempt, connection)
            steps.append(await _shell(connection))
    except SshFailure as failure:
        steps = _failed(attempt, failure, steps)
    steps += [Step(name, None, "Skipped: an earlier step failed.") for name in STEPS[len(steps) : -2]]
    found = outpost or OutpostFound(None, "Skipped: the desktop is not connected yet.")
    steps.append(Step("outpost", found.ok, _short(found.detail), 0.0, found.code))
    steps.append(await _agent(agent, ask))
    return steps


def is_ok(steps: list[Step]) -> bool:
    """Whether nothing failed. Against a desktop counts neither an agent that is not configured, nor that there can be
    no outpost: it works without, only less durably."""

    def is_optional(step: Step) -> bool:
        return (step.name == "agent" and step.ok is None) or (step.name == "outpost" and step.code is None)

    return all(step.ok or is_optional(step) for step in steps)


async def agent_ready(endpoint: AgentEndpoint, outpost: OutpostLink | None = None) -> AgentReadiness:
    """Ask the endpoint for its models, and where it lists none (404, 405) for its health: through the outpost of its
    desktop, or ourselves where it is reached directly.

    Never raises for what the endpoint does; `code` is one of agent_url_invalid, agent_unreachable, agent_timeout,
    agent_unauthorized, agent_not_ready, agent_needs_outpost, agent_address_refused.
    """
    base = endpoint.url.rstrip("/")
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        return AgentReadiness(
            False, "The URL must be http:// or https:// with a host and no password.", "agent_url_invalid"
        )
    if endpoint.via == "ssh" and outpost is None:
        return AgentReadiness(
            False, "It is asked by the desktop's outpost, and none is attached.", "agent_needs_outpost"
        )
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    if endpoint.token:
        headers["authorization"] = f"Bearer {endpoint.token}"
    try:
        with anyio.fail_after(AGENT_S_MAX):
            status, content_type = await _head(f"{base}/models", headers, endpoint, outpost)
            if status in (404, 405):
                health = urlunsplit((parts.scheme, parts.netloc, "/healthz", "", ""))
                health_status, _ = await _head(health, headers, endpoint, outpost)
                if health_status == 200:
                    return AgentReadiness(True, f"{health} answers; {base}/models does not exist.")
    except (httpx2.TimeoutException, TimeoutError):
        return AgentReadiness(False, f"{base} did not answer within {AGENT_S_MAX:.0f} s.", "agent_timeout")
    except AddressRefused as refused:
        return _refused(base, str(refused))
    except NoAnswer as error:
        if error.code == "address":
            return _refused(base, str(error))
        return AgentReadiness(False, _short(f"{base} cannot be reached: {error}"), "agent_unreachable")
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        return AgentReadiness(False, _short(f"{base} cannot be reached: {error}"), "agent_unreachable")
    return _judge(base, status, content_type, endpoint.kind)


def _refused(base: str, reason: str) -> AgentReadiness:
    error = address_refused(base, reason)
    return AgentReadiness(False, _short(error.message), error.code)


async def _head(
    url: str, headers: dict[str, str], endpoint: AgentEndpoint, outpost: OutpostLink | None
) -> tuple[int, str]:
    """Status and content type of an answer whose body nobody needs: it may be endless."""
    if endpoint.via == "ssh":
        assert outpost is not None, "whoever has none does not ask"
        networks = tuple(map(str, endpoint.networks))
        request = Request(method="GET", url=url, headers=headers, connect=AGENT_S_MAX, networks=networks)
        head = await ask_outpost(outpost, request)
        return head.status, head.content_type or ""
    timeout = httpx2.Timeout(AGENT_S_MAX)
    async with open_answer("GET", url, headers=headers, networks=endpoint.networks, timeout=timeout) as response:
        return response.status_code, response.headers.get("content-type", "")


def _judge(base: str, status: int, content_type: str, kind: str) -> AgentReadiness:
    if status == 200 and "json" in content_type:
        return AgentReadiness(True, f"{base} answers.")
    if status == 200:
        return AgentReadiness(
            False,
            _short(f"{base}/models answers with {content_type or 'no type'}, not JSON: is it the API's base address?"),
            "agent_not_ready",
        )
    if status in (401, 403):
        return AgentReadiness(False, f"{base} refuses the token ({status}). Enter it again.", "agent_unauthorized")
    if status in (404, 405) and kind == "openclaw":
        return AgentReadiness(
            False,
            "The gateway has no chat endpoint: set gateway.http.endpoints.chatCompletions.enabled to true in its "
            "configuration.",
            "agent_not_ready",
        )
    if 300 <= status < 400:
        return AgentReadiness(
            False, f"{base} sends us elsewhere ({status}); redirects are not followed.", "agent_not_ready"
        )
    return AgentReadiness(False, f"{base}/models answers with status {status}.", "agent_not_ready")


def _connected(attempt: Attempt, connection: SshConnection) -> list[Step]:
    assert attempt.connected_s is not None and attempt.verified_s is not None
    end_s = attempt.authenticated_s or attempt.verified_s
    version = connection.statistics()["server_version"]
    return [
        Step(
            "connect",
            True,
            _short(f"{connection.target.host} answers: {version}"),
            _ms(attempt.started_s, attempt.connected_s),
        ),
        Step("host_key", True, "It is the confirmed host key.", _ms(attempt.connected_s, attempt.verified_s)),
        Step("authenticate", True, "Logged in.", _ms(attempt.verified_s, end_s)),
    ]


def _failed(attempt: Attempt, failure: SshFailure, steps: list[Step]) -> list[Step]:
    """The steps that were reached, and the one that failed."""
    now_s = monotonic()
    name = _step_of(attempt, failure) if len(steps) < 3 else "shell"
    reached: dict[StepName, tuple[float | None, float | None, str]] = {
        "connect": (attempt.started_s, attempt.connected_s, "It answers."),
        "host_key": (attempt.connected_s, attempt.verified_s, "It is the confirmed host key."),
        "authenticate": (attempt.verified_s, attempt.authenticated_s, "Logged in."),
    }
    result: list[Step] = []
    begun_s = attempt.started_s
    for step_name, (start_s, end_s, detail) in reached.items():
        if step_name == name:
            break
        if start_s is not None and end_s is not None:
            result.append(Step(step_name, True, detail, _ms(start_s, end_s)))
            begun_s = end_s
        else:
            result.append(Step(step_name, None, "Skipped: it could not begin."))
    return [*result, Step(name, False, _short(failure.message), _ms(begun_s, now_s), failure.code)]


def _step_of(attempt: Attempt, failure: SshFailure) -> StepName:
    if failure.code in LOST_ON_THE_WAY:
        return (
            "connect" if attempt.connected_s is None else "host_key" if attempt.verified_s is None else "authenticate"
        )
    if failure.code in ("host_key_unknown", "host_key_changed", "host_key_revoked", "host_certificate_invalid"):
        return "host_key"
    if failure.code in ("auth_failed", "agent_unavailable", "key_invalid", "key_passphrase_wrong"):
        return "authenticate"
    return "connect"


async def _shell(connection: SshConnection) -> Step:
    """Whether the account's shell runs a command, and whether its start-up files print something of their own."""
    nonce = f"mission-control-{secrets.token_hex(8)}"
    started_s, output = monotonic(), bytearray()
    try:
        with anyio.fail_after(SHELL_S_MAX):
            async with open_command(connection, f"echo {nonce}") as run:  # valid in every shell there is
                async for stream, data in run:
                    if stream == "stdout" and len(output) < NOISE_BYTES_MAX:
                        output += data
                end = run.end
    except CommandRefused as refused:
        return Step("shell", False, _short(refused.message), _ms(started_s, monotonic()), refused.code)
    except TimeoutError:
        detail = f"The shell did not run `echo` within {SHELL_S_MAX:.0f} s. Do its start-up files wait for input?"
        return Step("shell", False, detail, _ms(started_s, monotonic()), "shell_not_usable")
    ms = _ms(started_s, monotonic())
    before, found, _ = output.partition(nonce.encode())
    if end.reason == "connection_lost":
        return Step("shell", False, "The connection was lost while the shell ran.", ms, "connection_lost")
    if not found or not end.is_success:
        said = _printable(bytes(output)) or "nothing"
        return Step(
            "shell", False, _short(f"The shell runs no commands ({end}); it said: {said}"), ms, "shell_not_usable"
        )
    if before:
        said = _printable(bytes(before))
        return Step(
            "shell", True, _short(f"It works, but its start-up files print into every command's output: {said}"), ms
        )
    return Step("shell", True, "The shell runs commands.", ms)


async def _agent(agent: AgentEndpoint | None, outpost: OutpostLink | None) -> Step:
    if agent is None:
        return Step("agent", None, "Skipped: the desktop has no agent.")
    with _timed() as timed:
        readiness = await agent_ready(agent, outpost)
    return Step("agent", readiness.is_ready, readiness.detail, timed.ms, readiness.code)


class _Timed:
    ms = 0.0


@contextmanager
def _timed() -> Generator[_Timed]:
    timed, started_s = _Timed(), monotonic()
    yield timed
    timed.ms = _ms(started_s, monotonic())


def _ms(start_s: float, end_s: float) -> float:
    return round(max(0.0, end_s - start_s) * 1000, 1)


def _printable(data: bytes) -> str:
    """Foreign bytes for a sentence: no control characters, one line."""
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in data.decode(errors="replace"))).strip()


def _short(text: str) -> str:
    return text if len(text) <= DETAIL_CHARACTERS_MAX else text[: DETAIL_CHARACTERS_MAX - 1] + "…"
