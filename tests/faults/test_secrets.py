"""Secrets are masked whatever dies while they come in."""

from __future__ import annotations

from pathlib import Path

from mission_control.runs.frames import HEAD_BYTES
from tests.faults.site import Site, open_site
from tests.support.waiting import until

VALUE = "correct-horse/battery+staple"
SIZE, PARTS = 7, 4
SECRETS = "/api/mission-control/secrets"


async def shown(site: Site, task_id: str) -> str:
    answer = await site.server.http.get(f"/api/mission-control/tasks/{task_id}/output?stream=all")
    return answer.text


async def test_a_server_killed_in_the_middle_of_a_secret_masks_it_when_it_goes_on(tmp_path: Path):
    async with open_site(tmp_path) as site:
        made = await site.server.http.post(SECRETS, json={"name": "NPM_TOKEN", "value": VALUE})
        assert made.status_code == 201, made.text
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
