"""The server as a process: how it starts, stops, dies and comes back."""

import json
import signal
import subprocess
from pathlib import Path

import anyio
import websockets.asyncio.client as ws

from tests.support.processes import is_alive, processes_with
from tests.support.server_process import command_line, open_server
from tests.support.waiting import until


def typed(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What a command of the command line says."""
    return subprocess.run(command_line(*arguments), capture_output=True, text=True, check=False)


async def test_ctrl_c_ends_server_and_demo_and_leaves_nothing_behind(tmp_path: Path):
    data_dir = tmp_path / "data"
    async with open_server(data_dir) as server:
        await server.desktop()
        assert await server.stop(signal.SIGINT) == 0
    assert not (data_dir / "control.sock").exists()
    await until(lambda: not processes_with(str(data_dir)), "every process to be gone")


async def test_a_killed_server_takes_its_demo_with_it(tmp_path: Path):
    data_dir = tmp_path / "data"
    async with open_server(data_dir) as server:
        await server.desktop()
        server.kill()
        await until(lambda: not processes_with(str(data_dir)), "every process to be gone")


async def test_what_runs_at_ctrl_c_is_named_goes_on_and_is_picked_up_at_the_next_start(tmp_path: Path):
    data_dir, gate = tmp_path / "data", tmp_path / "gate"
    async with open_server(data_dir) as server:
        running = await server.run(f"echo begun; until [ -e {gate} ]; do sleep 0.1; done; exit 3", title="The long one")
        await until(lambda: server.output(running["id"]), "the first line")
        assert await server.stop(signal.SIGINT) == 0
        said = await server.said()
        assert "1 run goes on" in said and "The long one" in said
    gate.touch()
    async with open_server(data_dir) as server:
        assert (await server.ended(running["id"]))["exitCode"] == 3
    await until(lambda: not processes_with(str(data_dir)), "every process to be gone")


async def test_what_runs_at_ctrl_c_is_cancelled_where_that_is_wanted(tmp_path: Path):
    data_dir = tmp_path / "data"
    async with open_server(data_dir, "--cancel-runs") as server:
        running = await server.run("echo begun; exec sleep 1000")
        await until(lambda: server.output(running["id"]), "the first line")
        assert await server.stop(signal.SIGINT) == 0
        assert "goes on" not in await server.said()
    await until(lambda: not processes_with(str(data_dir)), "every process to be gone")


async def test_a_killed_server_keeps_everything_that_it_had_told(tmp_path: Path):
    data_dir = tmp_path / "data"
    async with open_server(data_dir) as server:
        done = await server.ended((await server.run("echo kept"))["id"])
        gate = tmp_path / "gate"
        running = await server.run(f"echo begun; until [ -e {gate} ]; do sleep 0.1; done; echo ended; exit 3")
        output = f"/api/mission-control/tasks/{running['id']}/output"

        async def begun() -> bool:
            return (await server.http.get(output)).text == "begun\n"

        await until(begun, "the first line")
        head = int((await server.http.get("/api/mission-control/tasks")).headers["mission-control-seq"])
        server.kill()
    async with open_server(data_dir) as server:
        answer = await server.http.get("/api/mission-control/tasks")
        assert int(answer.headers["mission-control-seq"]) >= head
        assert (await server.task(done["id"])) == done
        gate.touch()
        ended = await server.ended(running["id"])
        assert (ended["status"], ended["exitCode"]) == ("failed", 3), "it went on all the time"
        assert (await server.http.get(output)).text == "begun\nended\n"
        assert (await server.ended((await server.run("echo goes on"))["id"]))["status"] == "done"
    verified = typed("log", "verify", "--data-dir", str(data_dir))
    assert verified.returncode == 0, verified.stdout + verified.stderr


async def test_a_second_server_is_told_who_holds_the_directory(tmp_path: Path):
    async with open_server(tmp_path / "data", demo=False) as server:
        second = typed("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
        assert second.returncode == 1
        assert str(server.process.pid) in second.stderr and "--data-dir" in second.stderr
        assert "Traceback" not in second.stderr


async def test_a_taken_port_says_what_to_do(tmp_path: Path):
    async with open_server(tmp_path / "one", demo=False) as server:
        port = server.url.rpartition(":")[2]
        second = typed("serve", "--port", port, "--data-dir", str(tmp_path / "two"))
        assert second.returncode == 1 and "--port" in second.stderr and "Traceback" not in second.stderr


def test_beyond_loopback_without_tls_needs_an_explicit_word(tmp_path: Path):
    refused = typed("serve", "--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path))
    assert refused.returncode != 0 and "--allow-network" in refused.stderr


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    file = tmp_path / "file"
    file.touch()
    refused = typed("serve", "--port", "0", "--data-dir", str(file / "data"))
    assert refused.returncode == 1
    assert str(file) in refused.stderr
    assert "Traceback" not in refused.stderr


async def test_the_data_directory_is_its_owners_alone(tmp_path: Path):
    data_dir = tmp_path / "data"
    async with open_server(data_dir):
        assert data_dir.stat().st_mode & 0o077 == 0
        for file in data_dir.iterdir():
            assert file.stat().st_mode & 0o077 == 0, file


async def test_a_long_path_still_has_its_administration_socket(tmp_path: Path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    async with open_server(deep / "data", demo=False) as server:
        assert (await server.http.get("/readyz")).status_code == 200


async def test_a_reader_that_does_not_read_costs_bounded_memory_and_disturbs_nobody(tmp_path: Path):
    """One stalled and one quick reader, while a command floods: 60 MB, twice what the ring holds."""
    lines, width = 600_000, 100
    async with open_server(tmp_path / "data") as server:
        await server.desktop()
        headers = {"x-api-key": server.http.headers["x-api-key"]}
        url = server.url.replace("http", "ws") + "/api/mission-control/activity/ws"
        options = {"additional_headers": headers, "max_size": None, "compression": None}
        async with ws.connect(url, max_queue=1, **options) as stalled, ws.connect(url, **options) as quick:
            for reader in (stalled, quick):
                await reader.send(json.dumps({"op": "subscribe", "id": "all", "after": 0}))
            before = server.resident_bytes()
            task = await server.run(f"yes {'x' * (width - 1)} | head -n {lines}")
            received = cursor = 0
            most = before
            with anyio.fail_after(60):
                while received < lines * width:
                    frame = json.loads(await quick.recv())
                    if frame["op"] != "events":
                        continue
                    seqs = [event["seq"] for event in frame["events"]]
                    assert seqs == list(range(cursor + 1, cursor + 1 + len(seqs))), "no gap, no repeat, in order"
                    cursor = seqs[-1]
                    received += sum(
                        event["payload"]["length"] for event in frame["events"] if event["type"] == "task.output"
                    )
                    most = max(most, server.resident_bytes())
            assert received == lines * width
            assert (await server.ended(task["id"]))["status"] == "done"
            assert most - before < 160 * 1024 * 1024, "the ring and some frames, whatever the stalled one has not read"
            first = json.loads(await stalled.recv())
            assert first["op"] == "hello", "it reads on at its own pace"
            stalled.transport.abort()  # it never read on; nobody waits for it
        assert is_alive(server.process.pid)
