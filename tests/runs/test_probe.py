"""A check names the step that fails, and an agent is ready only when its API answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Literal

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from msgspec.structs import replace

from mission_control.domain.addresses import networks_of
from mission_control.runs import probe
from mission_control.runs.connection import ConnectionLimits, KeyAuth, SshTarget, public_line
from mission_control.runs.probe import AgentEndpoint, AgentReadiness, OutpostFound, Step, agent_ready, check, is_ok
from tests.support.proxy import open_proxy
from tests.support.sshd import key, open_sshd, private_text

LOOPBACK = networks_of(["127.0.0.0/8"])
QUICK = ConnectionLimits(connect_s_max=5)


def outcome(steps: list[Step]) -> dict[str, bool | None]:
    assert tuple(step.name for step in steps) == probe.STEPS
    return {step.name: step.ok for step in steps}


def failed(steps: list[Step]) -> Step:
    return next(step for step in steps if step.ok is False)


async def ready(url: str, token: str | None = None, kind: Literal["openai", "openclaw"] = "openai") -> AgentReadiness:
    """Of an endpoint that the server reaches itself."""
    return await agent_ready(AgentEndpoint(url, token, kind, "direct", LOOPBACK))


async def test_a_good_desktop_passes_every_step():
    async with open_sshd() as host, open_endpoint(json_answer(200)) as endpoint:
        agent, attached = (
            AgentEndpoint(f"{endpoint}/v1", via="direct", networks=LOOPBACK),
            OutpostFound(True, "Attached."),
        )
        steps = await check(host.target(), agent, outpost=attached)
    assert outcome(steps) == dict.fromkeys(probe.STEPS, True)
    assert is_ok(steps)
    assert all(step.ms >= 0 and step.detail for step in steps)


async def test_a_desktop_without_an_agent_is_fine():
    async with open_sshd() as host:
        steps = await check(host.target())
    assert outcome(steps)["agent"] is None
    assert is_ok(steps)


async def test_nothing_listens():
    async with open_proxy("127.0.0.1", 1) as proxy:
        port = proxy.port
    target = SshTarget(host="127.0.0.1", port=port, auth=KeyAuth(private_text(key("ssh-ed25519"))))
    steps = await check(replace(target, host_key=public_line(key("ssh-ed25519"))))
    assert outcome(steps) == {
        "connect": False,
        "host_key": None,
        "authenticate": None,
        "shell": None,
        "outpost": None,
        "agent": None,
    }
    assert failed(steps).code == "connection_refused"
    assert not is_ok(steps)


async def test_a_host_that_says_nothing():
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy:
        proxy.black_hole()
        steps = await check(host.target(port=proxy.port), limits=ConnectionLimits(connect_s_max=0.3))
    assert (failed(steps).name, failed(steps).code) == ("host_key", "connect_timeout")
    assert outcome(steps)["connect"] is True


async def test_the_wrong_host():
    async with open_sshd() as host:
        steps = await check(replace(host.target(), host_key=public_line(key("ssh-ed25519", "other"))))
    assert (failed(steps).name, failed(steps).code) == ("host_key", "host_key_changed")
    assert outcome(steps)["authenticate"] is None


async def test_nobody_confirmed_the_host():
    async with open_sshd() as host:
        steps = await check(host.target(host_key=None))
    assert (failed(steps).name, failed(steps).code) == ("host_key", "host_key_unknown")
    assert outcome(steps)["connect"] is True


async def test_nobody_confirmed_the_host_and_nothing_listens():
    async with open_proxy("127.0.0.1", 1) as proxy:
        port = proxy.port
    steps = await check(SshTarget(host="127.0.0.1", port=port, auth=KeyAuth(private_text(key("ssh-ed25519")))))
    assert (failed(steps).name, failed(steps).code) == ("connect", "connection_refused")


async def test_the_wrong_key():
    async with open_sshd() as host:
        steps = await check(host.target(auth=KeyAuth(private_text(key("ssh-ed25519", "stranger")))))
    assert (failed(steps).name, failed(steps).code) == ("authenticate", "auth_failed")
    assert outcome(steps) == {
        "connect": True,
        "host_key": True,
        "authenticate": False,
        "shell": None,
        "outpost": None,
        "agent": None,
    }


async def test_a_text_that_is_no_key():
    async with open_sshd() as host:
        steps = await check(host.target(auth=KeyAuth("no key")))
    assert (failed(steps).name, failed(steps).code) == ("authenticate", "key_invalid")


async def test_a_shell_that_runs_no_commands():
    async with open_sshd(options=("ForceCommand echo This account is not available.; exit 1",)) as host:
        steps = await check(host.target())
    assert (failed(steps).name, failed(steps).code) == ("shell", "shell_not_usable")
    assert "This account is not available." in failed(steps).detail
    assert outcome(steps)["authenticate"] is True


async def test_a_shell_that_talks_first_works_but_is_said_to():
    async with open_sshd(options=('ForceCommand echo Welcome!; eval "$SSH_ORIGINAL_COMMAND"',)) as host:
        steps = await check(host.target())
    assert is_ok(steps)
    assert "Welcome!" in steps[3].detail


async def test_a_shell_that_hangs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probe, "SHELL_S_MAX", 0.3)
    async with open_sshd(options=("ForceCommand exec sleep 20",)) as host:
        steps = await check(host.target())
    assert (failed(steps).name, failed(steps).code) == ("shell", "shell_not_usable")


async def test_a_failing_agent_is_its_own_step():
    async with open_sshd() as host, open_endpoint(json_answer(401)) as endpoint:
        steps = await check(host.target(), AgentEndpoint(endpoint, token="t", via="direct", networks=LOOPBACK))
    assert outcome(steps) == {
        "connect": True,
        "host_key": True,
        "authenticate": True,
        "shell": True,
        "outpost": None,
        "agent": False,
    }


Answer = Callable[[str, dict[str, str]], bytes]


@asynccontextmanager
async def open_endpoint(answer: Answer) -> AsyncGenerator[str]:
    """An HTTP/1.1 endpoint that answers each request with bytes as they are. Gives its address."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            request = b""
            while b"\r\n\r\n" not in request:
                request += await stream.receive()
            head, *lines = request.decode().split("\r\n\r\n")[0].split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            if response := answer(head.split()[1], headers):
                await stream.send(response)
            else:
                await anyio.sleep_forever()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        group.cancel_scope.cancel()


def response(status: int, *headers: str, body: bytes = b"{}") -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def json_answer(status: int) -> Answer:
    return lambda path, headers: response(status, "Content-Type: application/json")


@pytest.mark.parametrize(
    ("status", "code"),
    [(200, None), (401, "agent_unauthorized"), (403, "agent_unauthorized"), (503, "agent_not_ready")],
)
async def test_what_the_endpoint_answers_decides(status: int, code: str | None):
    async with open_endpoint(json_answer(status)) as endpoint:
        readiness = await ready(f"{endpoint}/v1/")
    assert (readiness.is_ready, readiness.code) == (code is None, code)


async def test_the_token_goes_to_the_models_of_the_base_address():
    asked: list[tuple[str, str | None]] = []

    def answer(path: str, headers: dict[str, str]) -> bytes:
        asked.append((path, headers.get("authorization")))
        return response(200, "Content-Type: application/json; charset=utf-8")

    async with open_endpoint(answer) as endpoint:
        assert (await ready(f"{endpoint}/v1", "t0ken")).is_ready
    assert asked == [("/v1/models", "Bearer t0ken")]


async def test_an_endpoint_without_a_list_of_models_is_asked_for_its_health():
    def answer(path: str, headers: dict[str, str]) -> bytes:
        return response(200 if path == "/healthz" else 404, "Content-Type: application/json")

    async with open_endpoint(answer) as endpoint:
        assert (await ready(f"{endpoint}/v1")).is_ready
    async with open_endpoint(json_answer(404)) as endpoint:
        readiness = await ready(f"{endpoint}/v1", kind="openclaw")
        assert "chatCompletions.enabled" in readiness.detail


async def test_a_page_is_not_an_api():
    async with open_endpoint(lambda path, headers: response(200, "Content-Type: text/html")) as endpoint:
        readiness = await ready(endpoint)
    assert (readiness.is_ready, readiness.code) == (False, "agent_not_ready")
    assert "text/html" in readiness.detail


async def test_an_endpoint_at_a_forbidden_address_is_not_asked_and_says_how_to_allow_it():
    for host in ("169.254.169.254", "0x7f.1", "[::1]", "10.0.0.9"):
        found = await agent_ready(AgentEndpoint(f"http://{host}:1/v1", "secret"))
        assert found.code == "agent_address_refused"
        assert "--agent-network" in found.detail


async def test_no_redirect_is_followed_with_the_token():
    async with open_endpoint(json_answer(200)) as elsewhere:
        redirect = response(302, f"Location: {elsewhere}/models")
        async with open_endpoint(lambda path, headers: redirect) as endpoint:
            assert not (await ready(endpoint, "secret")).is_ready


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with open_endpoint(json_answer(200)) as endpoint:
        assert (await ready(endpoint)).is_ready


async def test_an_endpoint_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probe, "AGENT_S_MAX", 0.2)
    async with open_endpoint(lambda path, headers: b"") as endpoint:
        assert (await ready(endpoint)).code == "agent_timeout"


async def test_garbage_and_nobody_are_unreachable():
    async with open_endpoint(lambda path, headers: b"\x16\x03\x01garbage\r\n\r\n") as endpoint:
        assert (await ready(endpoint)).code == "agent_unreachable"
    assert (await ready(endpoint)).code == "agent_unreachable"


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:1/v1", "file:///etc/passwd", "gopher://x", "http://", "http://me:pw@h/v1"]
)
async def test_what_is_no_address_of_an_api_is_refused(url: str):
    assert (await ready(url, "secret")).code == "agent_url_invalid"


def test_a_token_does_not_show_when_an_endpoint_is_printed():
    assert "s3cret" not in repr(AgentEndpoint("http://h", token="s3cret"))
