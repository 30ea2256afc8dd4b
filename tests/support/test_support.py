"""The tools of the tests do what the tests rely on."""

from __future__ import annotations

import anyio
import httpx2
import pytest

from tests.support.browser import open_browser, open_page
from tests.support.chat_endpoint import DONE, Exchange, answer, chunk, open_chat_endpoint, replies, sse
from tests.support.waiting import until


async def post(url: str) -> tuple[int, bytes]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        response = await client.post(f"{url}/chat/completions", json={"messages": []}, headers={"x-test": "1"})
        return response.status_code, response.content


async def test_a_scripted_answer_comes_as_it_was_written_and_its_request_is_kept():
    async with open_chat_endpoint(replies(answer("Hi there"), status=201)) as endpoint:
        assert await post(endpoint.url) == (201, answer("Hi there"))
    (request,) = endpoint.requests
    assert (request.method, request.path, request.headers["x-test"]) == ("POST", "/v1/chat/completions", "1")
    assert request.json == {"messages": []}


async def test_each_request_gets_the_next_script_and_the_last_one_stays():
    async with open_chat_endpoint(replies(b"one"), replies(b"two")) as endpoint:
        assert [(await post(endpoint.url))[1] for _ in range(3)] == [b"one", b"two", b"two"]


async def test_a_script_waits_until_the_test_says_so_and_each_piece_is_one_read():
    go_on = anyio.Event()
    async with open_chat_endpoint(replies(sse(chunk("a")), go_on, DONE)) as endpoint:
        async with httpx2.AsyncClient(trust_env=False) as client:
            async with client.stream("POST", f"{endpoint.url}/chat/completions", content=b"{}") as response:
                pieces = response.aiter_raw()
                assert await anext(pieces) == sse(chunk("a"))
                go_on.set()
                assert await anext(pieces) == DONE


@pytest.mark.parametrize("ending", ["cut", "reset"])
async def test_an_answer_that_breaks_off_is_no_whole_one(ending: str):
    script = replies(b"half", ending="cut" if ending == "cut" else "reset")
    async with open_chat_endpoint(script) as endpoint:
        with pytest.raises(httpx2.TransportError):
            await post(endpoint.url)


async def test_it_is_noticed_when_a_client_leaves():
    async with open_chat_endpoint(replies(b"held", ending="hold")) as endpoint:
        async with anyio.create_task_group() as group:
            group.start_soon(post, endpoint.url)
            await endpoint.wait_for_request()
            group.cancel_scope.cancel()
        await endpoint.wait_until_a_client_left()


async def test_a_script_may_say_what_is_not_http():
    async def nonsense(exchange: Exchange) -> None:
        await exchange.raw(b"220 mail.example ESMTP\r\n")

    async with open_chat_endpoint(nonsense) as endpoint:
        with pytest.raises(httpx2.TransportError):
            await post(endpoint.url)


async def test_probes_are_answered_beside_the_scripts():
    async with open_chat_endpoint(replies(b"x")) as endpoint, httpx2.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{endpoint.url}/models")).status_code == 200
        endpoint.is_ready = False
        assert (await client.get(f"{endpoint.url}/models")).status_code == 503
    assert (endpoint.probe_count, endpoint.requests) == (2, [])


async def test_waiting_gives_what_was_waited_for_and_says_what_it_saw_instead():
    counted = iter(range(10))
    assert await until(lambda: next(counted) > 3) is True
    with pytest.raises(AssertionError, match="the moon; last seen: 0"):
        await until(lambda: 0, "the moon", seconds=0.05)


async def test_a_page_that_complains_fails_its_test():
    async with open_browser() as browser:
        async with open_page(browser, "data:text/html,<h1>Hello</h1>") as (page, _):
            assert await page.get_by_role("heading", name="Hello").count() == 1
        with pytest.raises(AssertionError, match="uncaught: broken"):
            async with open_page(browser, "data:text/html,<script>throw new Error('broken')</script>"):
                pass
