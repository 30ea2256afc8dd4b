"""Without a fault, everything here is quiet: the harness itself finds nothing, and leaves nothing."""

from __future__ import annotations

from pathlib import Path

from tests.faults.site import open_site


async def test_without_a_fault_every_byte_and_every_end_is_there(tmp_path: Path):
    async with open_site(tmp_path) as site:
        await site.write("one")
        await site.write("two", code=3)
        three = await site.write("three", pause_at=1000)
        site.watch(three.task_id)
        await site.until_output(three, 500)
        assert [one.task_id for one in site.command_processes(three.task_id)] == [three.task_id]
        history = await site.check()
        assert len(history.runs) == 3
    assert not site.processes()
