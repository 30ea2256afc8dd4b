"""Secrets are masked, and open, whatever dies while they come in or while their key is changed."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import httpx2
import pytest

from mission_control.log.seal_keys import KEY_FILE, NEXT_KEY_FILE
from mission_control.log.vault import SecretUnreadable, Vault
from mission_control.runs.frames import HEAD_BYTES
from tests.faults.history import Run
from tests.faults.site import Site, open_site
from tests.support.waiting import until

VALUE = "correct-horse/battery+staple"
SIZE, PARTS = 7, 4


ROTATE = "/api/mission-control/seal-key/rotate"
ENDS_WELL = f"printed\n{'*' * len(VALUE)}\n"


async def waiting_run(site: Site, name: str) -> Run:
    """A task that has its secret, and prints it when it is let go."""
    content = f'echo printed; until [ -e {site.folder}/{name} ]; do sleep 0.02; done; echo "$NPM_TOKEN"'
    run = await site.start(name, content, secrets=["NPM_TOKEN"])
    await site.until_output(run, len("printed\n"))
    return run


def opens(key: bytes, site: Site) -> list[str]:
    """The owners of what a key opens in the database as it is."""
    folder = site.folder / "thief"
    folder.mkdir(exist_ok=True)
    (folder / KEY_FILE).write_bytes(key)
    vault, found = Vault(folder), list[str]()
    with sqlite3.connect(f"file:{site.server.data_dir / 'mission-control.db'}?mode=ro", uri=True) as database:
        rows = database.execute("select owner, name, sealed from secrets").fetchall()
    database.close()
    assert rows
    for owner, name, sealed in rows:
        try:
            vault.open(owner, name, sealed)
        except SecretUnreadable:
            continue
        found.append(owner)
    return found


async def test_the_key_is_changed_while_a_task_with_a_secret_runs(tmp_path: Path):
    async with open_site(tmp_path) as site:
        await site.know_secret("NPM_TOKEN", VALUE)
        run, key_file = await waiting_run(site, "one"), site.server.data_dir / KEY_FILE
        old = key_file.read_bytes()
        assert len(opens(old, site)) == 3, "the named one, the task's copy of it, the desktop's private key"
        answer = await site.server.http.post(ROTATE)
        assert (answer.status_code, answer.json()) == (200, {"secrets": 3})
        new = key_file.read_bytes()
        assert (opens(old, site), len(opens(new, site))) == ([], 3)
        await site.restart_server()  # it takes the run up again with what the new key opens
        (tmp_path / "one").touch()
        assert (await site.ended(run))["maskedCount"] == 1
        assert await shown(site, run.task_id) == ENDS_WELL
        [changed] = [event for event in site.server.log() if event.type == "sealKey.changed"]
        assert changed.payload["secrets"] == 3
        await site.check()


# What the server is about to do when it is killed: a file, and the system call on it (strace looks at the first one).
STEPS = {
    "the new key is written": ("seal.new", "fsync"),
    "it gets its name": ("seal.new", "rename"),
    "it begins to seal": (NEXT_KEY_FILE, "openat"),
    "all is sealed with it, and it replaces the old one": (NEXT_KEY_FILE, "rename"),
}


@pytest.mark.parametrize("step", STEPS)
async def test_a_server_killed_while_the_key_is_changed_goes_on_with_every_secret(tmp_path: Path, step: str):
    strace = shutil.which("strace")
    assert strace, "this test kills at system calls with strace: apt-get install strace"
    async with open_site(tmp_path) as site:
        await site.know_secret("NPM_TOKEN", VALUE)
        run, data = await waiting_run(site, "one"), site.server.data_dir
        old = (data / KEY_FILE).read_bytes()
        file, call = STEPS[step]
        under = [strace, "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-P", str(data / file)]
        under += ["-e", f"inject={call}:signal=KILL:when=1"]
        await site.server.restart(under=under)
        with pytest.raises(httpx2.TransportError):
            await site.server.http.post(ROTATE)
        has_begun, is_sealed = file == NEXT_KEY_FILE, STEPS[step] == (NEXT_KEY_FILE, "rename")
        assert len(opens(old, site)) == (0 if is_sealed else 3)
        await site.restart_server()
        assert not (data / NEXT_KEY_FILE).exists()
        if not has_begun:
            assert (data / KEY_FILE).read_bytes() == old, "nothing had begun"
            assert (await site.server.http.post(ROTATE)).json() == {"secrets": 3}
        assert opens(old, site) == []
        (tmp_path / "one").touch()
        assert (await site.ended(run))["maskedCount"] == 1
        assert await shown(site, run.task_id) == ENDS_WELL
        (tmp_path / "two").touch()
        assert (await site.ended(await waiting_run(site, "two")))["maskedCount"] == 1
        await site.check()


async def shown(site: Site, task_id: str) -> str:
    answer = await site.server.http.get(f"/api/mission-control/tasks/{task_id}/output?stream=all")
    return answer.text


async def test_a_server_killed_in_the_middle_of_a_secret_masks_it_when_it_goes_on(tmp_path: Path):
    async with open_site(tmp_path) as site:
        await site.know_secret("NPM_TOKEN", VALUE)
        steps = [
            f"until [ -e {tmp_path}/gate-{part} ]; do sleep 0.02; done; "
            f"printf %s \"$NPM_TOKEN\" | cut -c{1 + SIZE * part}-{SIZE * (part + 1)} | tr -d '\\n'"
            for part in range(PARTS)
        ]
        content = "; ".join(["echo 'the token:'", *steps, "echo ' was that'"])
        run = await site.start("whisper", content, secrets=["NPM_TOKEN"])
        await site.until_output(run, 11)
        for part in range(PARTS - 1):
            (tmp_path / f"gate-{part}").touch()
            written = 11 + HEAD_BYTES + (part + 1) * (SIZE + HEAD_BYTES)
            await until(lambda written=written: site.outpost.spool_bytes(run.task_id) >= written, "the desktop")
            assert await shown(site, run.task_id) == "the token:\n"
            await site.restart_server()  # nothing of it was acknowledged: the desktop sends it again
        (tmp_path / f"gate-{PARTS - 1}").touch()
        end = await site.ended(run)
        assert (end["status"], end["maskedCount"]) == ("done", 1)
        assert end["streams"]["stdout"]["bytes"] == 11 + len(VALUE) + len(" was that\n")
        assert await shown(site, run.task_id) == f"the token:\n{'*' * len(VALUE)} was that\n"
        assert not [event for event in site.server.log() if VALUE.encode()[:SIZE] in event.raw]
        await site.check()


async def test_a_flood_in_which_a_secret_may_begin_anywhere_ends_over_a_slow_link_too(tmp_path: Path):
    async with open_site(tmp_path) as site:
        await site.know_secret("NPM_TOKEN", "a" * 1000 + "!")
        site.proxy.slow(500_000)  # what is sent ahead shrinks with the time until it is in the log
        content = "python3 -c 'import sys; sys.stdout.write(\"a\" * (2 << 20))'"  # in as large pieces as there are
        run = await site.start("slow", content, written={"stdout": b"a" * (2 << 20), "stderr": b""})
        assert (await site.ended(run))["status"] == "done"
        await site.check()
