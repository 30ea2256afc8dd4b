"""What the server asks itself goes to an address that was judged, and nowhere else.

ASVS 5.0: 1.3.6 (server-side request forgery), 13.2.4 (an allowlist for what is asked of agents).
"""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest

from mission_control.domain.addresses import Network, networks_of
from mission_control.runs.asking import AddressRefused, open_answer
from tests.support.chat_endpoint import ChatEndpoint, answer, open_chat_endpoint, replies

LOOPBACK = networks_of(["127.0.0.0/8"])
PATIENCE = httpx2.Timeout(10)


async def ask(url: str, networks: tuple[Network, ...]) -> int:
    """The status of an answer."""
    headers = {"authorization": "Bearer secret"}
    async with open_answer("POST", url, headers=headers, body=b"{}", networks=networks, timeout=PATIENCE) as response:
        return response.status_code


def written(endpoint: ChatEndpoint, host: str) -> str:
    """The endpoint's URL with its host written in another way."""
    return f"http://{host}:{urlsplit(endpoint.url).port}/v1/chat/completions"


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f000001", "2130706433", "127.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_however_an_address_is_written_what_it_means_decides(host: str):
    async with open_chat_endpoint(replies(answer("hi"))) as endpoint:
        with pytest.raises(AddressRefused, match="loopback"):
            await ask(written(endpoint, host), networks_of(["0.0.0.0/0", "::/0"]))
        assert endpoint.requests == []
        assert await ask(written(endpoint, host), networks_of(["127.0.0.0/8", "::1"])) == 200
        assert endpoint.requests[0].headers["host"].startswith(host), "the endpoint is asked by its own name"


async def test_a_name_whose_answer_changes_is_asked_where_it_was_judged(monkeypatch: pytest.MonkeyPatch):
    looked_up: list[str] = []

    async def rebinding(host: str, port: int, **_: Any) -> list[Any]:
        looked_up.append(host)
        address = "127.0.0.1" if len(looked_up) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(anyio, "getaddrinfo", rebinding)
    async with open_chat_endpoint(replies(answer("hi"))) as endpoint:
        assert await ask(written(endpoint, "rebinding.example"), LOOPBACK) == 200
        with pytest.raises(AddressRefused, match=r"169\.254\.169\.254"):
            await ask(written(endpoint, "rebinding.example"), LOOPBACK)
    assert looked_up == ["rebinding.example"] * 2, "once for each request"


async def test_a_redirect_to_elsewhere_is_an_answer_and_not_followed():
    script = replies(b"", status=302, headers={"location": "http://169.254.169.254/latest/meta-data"})
    async with open_chat_endpoint(script) as endpoint:
        assert await ask(written(endpoint, "127.0.0.1"), LOOPBACK) == 302


async def test_an_address_that_does_not_answer_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch):
    async def two(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.9.9.9", "127.0.0.1")]

    async with open_chat_endpoint(replies(answer("hi"))) as endpoint:
        with monkeypatch.context() as patch:
            patch.setattr(anyio, "getaddrinfo", two)
            assert await ask(written(endpoint, "two.example"), LOOPBACK) == 200


async def test_a_name_that_nobody_knows_is_said_to_be_unknown():
    with pytest.raises(httpx2.ConnectError, match="not known"):
        await ask("http://nowhere.invalid/v1", LOOPBACK)
