"""The demo world as the server starts it: reachable, the same at the next start, and gone with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
from pathlib import Path

import asyncssh
import httpx2
import msgspec
import pytest

from mission_control.demo.world import DemoFailed, DemoWorld, open_demo_world
from tests.support.processes import is_alive, processes_with
from tests.support.waiting import until


async def connect(world: DemoWorld) -> asyncssh.SSHClientConnection:
    known = asyncssh.import_known_hosts(f"[{world.ssh_host}]:{world.ssh_port} {world.host_public_key}")
    return await asyncssh.connect(
        world.ssh_host,
        world.ssh_port,
        username=world.username,
        client_keys=[asyncssh.import_private_key(world.client_private_key)],
        known_hosts=known,
        config=[],
        agent_path=None,
    )


async def test_the_world_is_reached_with_what_it_says(tmp_path: Path):
    async with open_demo_world(tmp_path / "demo") as world:
        async with await connect(world) as connection:
            ran = await connection.run("pwd; ls")
            assert str(ran.stdout).splitlines()[0] == world.folder
            assert "WELCOME.md" in str(ran.stdout)
        key = asyncssh.import_public_key(world.host_public_key)
        assert key.get_fingerprint() == world.fingerprint
        assert world.host_public_key.split()[0] == world.host_key_type
        headers = {"authorization": f"Bearer {world.agent_token}"}
        async with httpx2.AsyncClient(trust_env=False, headers=headers) as client:
            assert (await client.get(f"{world.agent_url}/models")).status_code == 200
    assert processes_with(str(tmp_path)) == []


async def test_keys_token_folder_and_ports_are_the_same_after_a_restart(tmp_path: Path):
    async with open_demo_world(tmp_path) as before:
        Path(before.folder, "kept.txt").write_text("mine")
    async with open_demo_world(tmp_path) as after:
        assert after == before
        assert Path(after.folder, "kept.txt").read_text() == "mine"


async def test_a_port_that_another_program_has_taken_is_replaced(tmp_path: Path):
    async with open_demo_world(tmp_path) as before:
        pass
    with socket.create_server(("127.0.0.1", before.ssh_port)):
        async with open_demo_world(tmp_path) as after:
            assert after.ssh_port != before.ssh_port
            assert after.agent_url == before.agent_url
            async with await connect(after) as connection:
                assert (await connection.run("true")).exit_status == 0


async def test_nobody_else_can_read_the_keys(tmp_path: Path):
    async with open_demo_world(tmp_path / "demo") as world:
        assert stat.S_IMODE((tmp_path / "demo").stat().st_mode) == 0o700
        for name in ("host_key", "client_key", "agent_token", "ports.json", "world.log"):
            assert stat.S_IMODE((tmp_path / "demo" / name).stat().st_mode) == 0o600
        assert world.client_private_key_path == str(tmp_path / "demo" / "client_key")


async def test_closing_the_world_ends_what_runs_in_it(tmp_path: Path):
    pid = 0
    async with open_demo_world(tmp_path) as world:
        connection = await connect(world)
        process = await connection.create_process("echo $$; sleep 1000")
        pid = int(await process.stdout.readline())
    assert not is_alive(pid)
    connection.abort()
    await connection.wait_closed()


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGTERM])
async def test_a_parent_that_is_killed_leaves_no_process(tmp_path: Path, ended_by: int):
    folder = tmp_path / "demo"
    program = (
        "import anyio, pathlib, sys, msgspec\n"
        "from mission_control.demo.world import open_demo_world\n"
        "async def main():\n"
        "    async with open_demo_world(pathlib.Path(sys.argv[1])) as world:\n"
        "        print(msgspec.json.encode(world).decode(), flush=True)\n"
        "        await anyio.sleep_forever()\n"
        "anyio.run(main)\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    world = msgspec.json.decode(await parent.stdout.readline(), type=DemoWorld)
    connection = await connect(world)
    process = await connection.create_process("trap '' HUP; echo $$; sleep 1000 & wait")
    pid = int(await process.stdout.readline())
    os.kill(parent.pid, ended_by)
    await parent.wait()
    await until(lambda: not is_alive(pid), "the command to end")
    await until(lambda: processes_with(str(folder)) == [], "every process of the world to end")
    connection.abort()
    await connection.wait_closed()


async def test_a_world_that_cannot_start_says_why(tmp_path: Path):
    (tmp_path / "host_key").write_text("not a key")
    with pytest.raises(DemoFailed, match="did not start"):
        async with open_demo_world(tmp_path):
            pass
