"""Runs of many shapes, and faults of all kinds at random moments: everything follows from one seed.

Of the moments only the order is the seed's; what they meet is the machine's. So a seed repeats a failure often, not
always; what it found becomes a test of its own beside the mix.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from string import hexdigits

import anyio

from tests.faults.history import ENDS, History, Run
from tests.faults.site import Site, open_site
from tests.support.chat_endpoint import DONE, Exchange, chunk, open_chat_endpoint, sse

PAUSE_SECONDS_MAX = 0.4  # between two faults: long enough to meet any phase of a run, and no more
DRIP_SECONDS = 0.01
OPEN_RUNS_MAX = 12


FAULTS = (
    *("kill_server", "kill_server", "freeze_server"),
    *("reset", "reset", "refuse", "stall", "slow_link", "lose_to_client", "lose_to_server", "kill_sessions"),
    *("kill_outpost", "kill_supervisor", "kill_both", "kill_everything"),
    *("cancel", "cancel"),
)
"""The kinds of trouble, by the names of what makes them; what stands twice happens twice as often."""


def drip_words(seed: int) -> list[str]:
    """An agent's answer, piece by piece."""
    chance = random.Random(f"drip {seed}")
    return [f"{chance.choice(('word', 'wörd', '字', '🚀'))}{n} " for n in range(chance.randrange(50, 400))]


def drip_pieces(seed: int) -> list[bytes]:
    """The same as the events of its stream."""
    return [sse(chunk(word)) for word in drip_words(seed)] + [sse(chunk(finish="stop")) + DONE]


async def answer_drips(exchange: Exchange) -> None:
    """The agent: its answer follows from the number in the prompt, and takes its time."""
    await exchange.head()
    for piece in drip_pieces(int(exchange.request.json["messages"][-1]["content"].split()[-1])):
        await exchange.send(piece)
        await anyio.sleep(DRIP_SECONDS)
    await exchange.end()


class Mix:
    """Random work and random trouble on one site."""

    def __init__(
        self, site: Site, chance: random.Random, can_ask: bool = True, only: Collection[str] | None = None
    ) -> None:
        self.site, self.chance = site, chance
        self._only = only
        self.faults = Counter[str]()
        self.story: list[str] = []
        shapes = [self.flood, self.flood, self.slow, self.short, self.crash, self.tree, self.stubborn]
        self._shapes = [*shapes, self.prompt, self.prompt] if can_ask else shapes
        self._endless: list[Run] = []
        self._number = 0

    # Work.

    async def start_something(self) -> None:
        """One more run of some shape, unless enough of them are going on."""
        open_ids = self.open_ids()
        if len(open_ids) < OPEN_RUNS_MAX:
            self._number += 1
            shape = self.chance.choice(self._shapes)
            self.story.append(shape.__name__)
            await shape(f"{self._number} {shape.__name__}")

    async def flood(self, name: str) -> None:
        size = self.chance.randrange(100_000, 4_000_000)
        await self.site.write(name, stdout=size, stderr=size // self.chance.choice((2, 5, 50)))

    async def slow(self, name: str) -> None:
        rate = self.chance.choice((2_000, 50_000, 400_000))
        await self.site.write(name, stdout=rate * 3, stderr=rate, rate=rate, code=self.chance.choice((0, 7)))

    async def short(self, name: str) -> None:
        await self.site.write(name, stdout=self.chance.choice((0, 1, 100)), stderr=0, code=self.chance.choice((0, 1)))

    async def crash(self, name: str) -> None:
        content = "printf before; sleep 0.$(( $$ % 10 )); kill -SEGV $$"
        await self.site.start(name, content, written={"stdout": b"before"}, code=None, signal="SIGSEGV")

    async def tree(self, name: str) -> None:
        content = "setsid sleep 1000 & (sleep 1000 & wait) & printf up; wait"
        await self._to_be_cancelled(await self.site.start(name, content, written={"stdout": b"up"}))

    async def stubborn(self, name: str) -> None:
        content = "trap '' TERM; printf up; while :; do sleep 0.2; done"
        await self._to_be_cancelled(await self.site.start(name, content, written={"stdout": b"up"}))

    async def _to_be_cancelled(self, run: Run) -> None:
        """Nothing else ends it."""
        self.site.expect(run, may_be_cancelled=True)
        self._endless.append(run)

    async def prompt(self, name: str) -> None:
        seed = self.chance.randrange(1_000_000)
        known = {"written": {"response": b"".join(drip_pieces(seed))}, "answer": "".join(drip_words(seed))}
        if not await self.site.try_start(name, f"Drip {seed}", type="prompt", **known):
            self.story.append("(not ready)")

    def open_ids(self) -> list[str]:
        """Tasks whose end the first watcher has not seen."""
        ended = {one.task_id for one in self.site.watcher.events if one.type in ENDS}
        return [id for id in self.site.runs if id not in ended]

    # Trouble.

    async def hurt_something(self) -> None:
        """One fault, of some kind, for a moment."""
        kind = self.chance.choice([one for one in FAULTS if self._only is None or one in self._only])
        self.faults[kind] += 1
        self.story.append(kind)
        await getattr(self, kind)()

    async def pause(self) -> None:
        await anyio.sleep(self.chance.random() * PAUSE_SECONDS_MAX)

    async def kill_server(self) -> None:
        self.site.kill_server()
        await self.pause()
        await self.site.start_server()

    async def freeze_server(self) -> None:
        self.site.stop_server()
        await self.pause()
        self.site.continue_server()

    async def reset(self) -> None:
        self.site.proxy.reset()

    async def refuse(self) -> None:
        self.site.proxy.refuse()
        self.site.proxy.reset()
        await self.pause()
        self.site.proxy.heal()

    async def stall(self) -> None:
        self.site.proxy.stall(to_server=self.chance.random() < 0.7, to_client=self.chance.random() < 0.7)
        await self.pause()
        self.site.proxy.heal()

    async def slow_link(self) -> None:
        self.site.proxy.slow(self.chance.choice((1_000, 50_000)))
        await self.pause()
        self.site.proxy.heal()

    async def lose_to_client(self) -> None:
        self.site.proxy.black_hole(to_server=False)
        await self._until_healed()

    async def lose_to_server(self) -> None:
        self.site.proxy.black_hole(to_client=False)
        await self._until_healed()

    async def _until_healed(self) -> None:
        await self.pause()
        if self.chance.random() < 0.5:
            self.site.proxy.reset()
        self.site.proxy.heal()

    async def kill_sessions(self) -> None:
        self.site.host.kill_sessions()

    async def kill_outpost(self) -> None:
        if pid := self.site.outpost.daemon():
            for id in self.open_ids():
                if not self.site.watcher.of(id, "task.output") and not self._is_streaming(id):
                    self._excuse(id, "run_lost")  # killed between two steps of a start: then it is not started
            self.site.kill(pid)

    def _is_streaming(self, id: str) -> bool:
        return any(one.payload.get("phase") == "streaming" for one in self.site.watcher.of(id, "task.phase"))

    def _excuse(self, id: str, code: str) -> None:
        run = self.site.runs[id]
        self.site.expect(run, may_be_lost=run.may_be_lost | {code})

    async def kill_supervisor(self) -> None:
        for id in self.chance.sample(self.open_ids(), min(1, len(self.open_ids()))):
            self._lose(id)

    def _lose(self, id: str) -> None:
        with suppress(OSError, ValueError):
            pid = self.site.outpost.supervisor(id)
            self._excuse(id, "supervisor_killed")
            self.site.kill(pid)

    async def kill_both(self) -> None:
        await self.kill_outpost()
        await self.kill_supervisor()

    async def kill_everything(self) -> None:
        """Server, sessions and outpost in one moment."""
        self.site.kill_server()
        self.site.host.kill_sessions()
        await self.kill_outpost()
        await self.pause()
        await self.site.start_server()

    async def cancel(self) -> None:
        for id in self.chance.sample(self.open_ids(), min(1, len(self.open_ids()))):
            await self._cancel(self.site.runs[id])

    async def _cancel(self, run: Run) -> None:
        self.site.expect(run, may_be_cancelled=True)
        answer = await self.site.server.http.post(f"/api/mission-control/tasks/{run.task_id}/cancel")
        assert answer.status_code in (200, 409), answer.text

    async def calm(self) -> None:
        """Heal everything, and ask what would never end by itself to end."""
        self.site.proxy.heal()
        for run in self._endless:
            await self._cancel(run)


async def play(
    folder: Path, seed: int, steps: int, only: Collection[str] | None = None
) -> tuple[History, Counter[str]]:
    """So many steps of work and trouble; then everything heals and ends, and every promise is held against it.

    `only` names the kinds of faults that are to happen; else all do.
    """
    chance = random.Random(seed)
    async with open_chat_endpoint(answer_drips) as endpoint:
        agent = {"kind": "openai", "url": endpoint.url, "via": "ssh"}
        async with open_site(folder, seed=seed, agent=agent) as site:
            for digit in hexdigits:  # so that what has come may nearly always end in the beginning of a secret
                await site.know_secret(f"BEGINS_WITH_{ord(digit)}", f"{digit} is never printed")
            mix = Mix(site, chance, only=only)
            try:
                for step in range(steps):
                    if step < 4 or chance.random() < 0.4:
                        await mix.start_something()
                    else:
                        await mix.hurt_something()
                    await mix.pause()
                await mix.calm()
                return await site.check(), mix.faults
            except BaseException as error:
                error.add_note(f"Seed {seed}: {' '.join(mix.story)}")
                raise
