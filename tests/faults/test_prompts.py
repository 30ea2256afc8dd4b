"""A prompt that is asked through the desktop survives what commands survive: the answer arrives once, to the byte."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import anyio

from tests.faults.history import Run
from tests.faults.site import Site, open_site
from tests.support.chat_endpoint import DONE, ChatEndpoint, Exchange, Script, chunk, open_chat_endpoint, sse


class Drip:
    """An answer that comes word by word, and waits in between as long as a test wants."""

    def __init__(self, seed: int, words: int = 400, pauses: tuple[int, ...] = ()) -> None:
        chance = random.Random(seed)
        self.words = [f"{chance.choice(('word', 'wörd', '字', '🚀'))} {n} " for n in range(words)]
        self.pieces = [sse(chunk(word)) for word in self.words] + [sse(chunk(finish="stop")) + DONE]
        self.gates = {place: anyio.Event() for place in pauses}

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def let_go(self) -> None:
        for gate in self.gates.values():
            gate.set()

    @property
    def script(self) -> Script:
        async def script(exchange: Exchange) -> None:
            await exchange.head()
            for place, piece in enumerate(self.pieces):
                if place in self.gates:
                    await self.gates[place].wait()
                await exchange.send(piece)
            await exchange.end()

        return script


async def ask(site: Site, drip: Drip, name: str = "prompt", **facts: Any) -> Run:
    return await site.start(
        name, "Say something.", type="prompt", written={"response": drip.body}, answer="".join(drip.words), **facts
    )


def agent(endpoint: ChatEndpoint) -> dict[str, Any]:
    return {"kind": "openai", "url": endpoint.url, "token": "secret-token", "via": "ssh"}


def check_end(end: dict[str, Any], drip: Drip) -> None:
    assert (end["status"], end["result"]) == ("done", "".join(drip.words).rstrip())


async def test_an_answer_goes_on_after_the_server_was_killed(tmp_path: Path):
    drip = Drip(1, pauses=(100, 300))
    async with open_chat_endpoint(drip.script) as endpoint, open_site(tmp_path, agent=agent(endpoint)) as site:
        run = await ask(site, drip)
        await site.until_output(run, len(b"".join(drip.pieces[:90])))
        site.kill_server()
        drip.gates[100].set()
        await site.start_server()
        await site.until_output(run, len(b"".join(drip.pieces[:290])))
        await site.restart_server()
        drip.let_go()
        check_end(await site.ended(run), drip)
        await site.check()
        assert len(endpoint.requests) == 1, "it was asked once"


async def test_words_in_which_a_secret_may_begin_come_once_when_the_server_is_killed_before_the_next_ones(
    tmp_path: Path,
):
    drip = Drip(1, pauses=(100,))
    async with open_chat_endpoint(drip.script) as endpoint, open_site(tmp_path, agent=agent(endpoint)) as site:
        await site.know_secret("TOKEN", "99 and what is never said")
        run = await ask(site, drip)
        await site.until_event(run, "task.progress", held=len("99 "))  # the rest of it is here
        for _ in range(2):
            site.kill_server()
            await site.start_server()
        drip.let_go()
        check_end(await site.ended(run), drip)
        await site.check()


async def test_a_prompt_whose_server_dies_in_the_moment_of_its_start_is_asked_once(tmp_path: Path):
    drip = Drip(6, words=20)
    async with open_chat_endpoint(drip.script) as endpoint, open_site(tmp_path, agent=agent(endpoint)) as site:
        for number in range(3):
            run = await ask(site, drip, f"prompt {number}")
            if number:
                await site.until_event(run, "task.phase", phase="starting")
            await site.restart_server()
            check_end(await site.ended(run), drip)
            await site.until_desktop(lambda one: one["agentReady"])
        await site.check()
        assert len(endpoint.requests) == 3


async def test_a_prompt_whose_start_is_lost_on_its_way_is_asked_all_the_same(tmp_path: Path):
    """Its server dies, too: what was to be asked is asked by the next one."""
    drip = Drip(7, words=20)
    async with open_chat_endpoint(drip.script) as endpoint, open_site(tmp_path, agent=agent(endpoint)) as site:
        site.proxy.black_hole(to_client=False)
        run = await ask(site, drip)
        await site.until_event(run, "task.phase", phase="starting")
        site.kill_server()
        site.proxy.reset()
        site.proxy.heal()
        await site.start_server()
        check_end(await site.ended(run), drip)
        await site.check()
        assert len(endpoint.requests) == 1


async def test_an_answer_that_ends_while_the_server_is_dead_is_whole_afterwards(tmp_path: Path):
    drip = Drip(2, pauses=(50,))
    async with open_chat_endpoint(drip.script) as endpoint, open_site(tmp_path, agent=agent(endpoint)) as site:
        run = await ask(site, drip)
        await site.until_output(run, len(b"".join(drip.pieces[:40])))
        site.kill_server()
        drip.let_go()
        await site.until_dead(run)
        await site.start_server()
        check_end(await site.ended(run), drip)
        await site.check()
        assert len(endpoint.requests) == 1


async def test_an_answer_goes_on_over_reset_links_and_a_killed_outpost(tmp_path: Path):
    drip = Drip(3, pauses=(100, 200, 300))
    async with open_chat_endpoint(drip.script) as endpoint, open_site(tmp_path, agent=agent(endpoint)) as site:
        run = await ask(site, drip)
        for place, gate in drip.gates.items():
            await site.until_output(run, len(b"".join(drip.pieces[: place - 10])))
            site.proxy.reset()
            if place == 200:
                await site.kill_daemon()
            gate.set()
        check_end(await site.ended(run), drip)
        await site.check()
        assert len(endpoint.requests) == 1


async def test_a_cancelled_prompt_closes_its_request_even_after_a_restart(tmp_path: Path):
    drip = Drip(4, pauses=(100,))
    async with open_chat_endpoint(drip.script) as endpoint, open_site(tmp_path, agent=agent(endpoint)) as site:
        run = await ask(site, drip)
        await site.until_output(run, len(b"".join(drip.pieces[:90])))
        site.proxy.stall()
        await site.cancel(run)
        site.kill_server()
        assert endpoint.clients_left == 0
        site.proxy.reset()
        site.proxy.heal()
        await site.start_server()
        with anyio.fail_after(30):
            await endpoint.wait_until_a_client_left()
        assert (await site.ended(run))["status"] == "cancelled"
        await site.check()


async def test_the_token_is_nowhere_on_the_desktop(tmp_path: Path):
    drip = Drip(5, pauses=(50,))
    async with open_chat_endpoint(drip.script) as endpoint, open_site(tmp_path, agent=agent(endpoint)) as site:
        run = await ask(site, drip)
        await site.until_output(run, len(b"".join(drip.pieces[:40])))
        assert endpoint.requests[0].headers["authorization"] == "Bearer secret-token"
        files = [file for file in (site.home / ".local").rglob("*") if file.is_file()]
        assert files and not [file for file in files if b"secret-token" in file.read_bytes()]
        for pid in site.processes():
            for part in ("cmdline", "environ"):
                assert b"secret-token" not in Path(f"/proc/{pid}/{part}").read_bytes()
        drip.let_go()
        check_end(await site.ended(run), drip)
        await site.check()
