"""The command line with a real server and its demo desktop: what a person types, and what a script relies on."""

from __future__ import annotations

import hashlib
import re
import shlex
import sqlite3
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest
import pytest_asyncio

from mission_control.runs.connection import public_line
from tests.cli.program import Program, Ran, open_terminal
from tests.support.proxy import open_proxy
from tests.support.server_process import ServerProcess, command_line, open_server
from tests.support.sshd import key, open_sshd, private_text
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ID = re.compile(r"^task_[0-9a-z]+$")


class Demo(NamedTuple):
    """A server with its demo desktop, and the command line that talks to it."""

    server: ServerProcess
    program: Program
    desktop: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Demo]:
    """One for all tests that leave it as it was: each makes its own tasks."""
    async with open_demo(tmp_path_factory.mktemp("shared")) as shared:
        yield shared


@asynccontextmanager
async def open_demo(folder: Path) -> AsyncGenerator[Demo]:
    async with open_server(folder / "data") as server:
        yield Demo(server, Program(server.data_dir), (await server.desktop())["id"])


async def create(program: Program, desktop: str, content: str, *flags: str) -> str:
    ran = await program.run("tasks", "create", "command", content, "-d", desktop, *flags)
    assert ran.code == 0, ran.said
    assert ID.match(ran.text)
    return ran.text


async def status(program: Program, task_id: str) -> str:
    return (await program.run("tasks", "show", task_id, "--json")).json["status"]


async def test_a_task_is_created_run_and_watched_and_its_exit_code_is_ours(demo: Demo):
    _, program, desktop = demo
    task_id = await create(program, desktop, "echo to out; echo to err >&2; exit 3")
    assert await status(program, task_id) == "pending"

    ran = await program.run("tasks", "run", task_id, "--watch")
    assert (ran.code, ran.out, ran.err) == (3, b"to out\n", b"to err\n")

    again = await program.run("tasks", "watch", task_id)
    assert again == ran

    refused = await program.run("tasks", "run", task_id)
    assert refused.code == 1
    assert "(task_not_pending)" in refused.said

    killed = await program.run("tasks", "create", "command", "kill -9 $$", "-d", "DEMO desktop", "--watch")
    assert killed.code == 137

    listed = (await program.run("tasks", "list", "--json", "--status", "failed", "--search", "to err")).json
    assert [task["id"] for task in listed] == [task_id]
    (row,) = (await program.run("tasks", "list", "--limit", "1", "--search", "kill -9")).text.splitlines()
    assert row.split("\t")[1:4] == ["failed", "command", "Demo desktop"]


async def test_output_is_byte_for_byte_what_the_command_wrote(demo: Demo):
    _, program, desktop = demo
    flood = 'python3 -c "import os; [os.write(1, bytes(range(256)) * 256) for _ in range(32)]"; printf err >&2'
    ran = await program.run("tasks", "create", "command", flood, "-d", desktop, "--run", "--watch", "--title", "x")
    assert ran.code == 0, ran.said
    wanted = hashlib.sha256(bytes(range(256)) * 256 * 32).hexdigest()
    assert hashlib.sha256(ran.out).hexdigest() == wanted
    assert ran.err == b"err"
    task_id = (await program.run("tasks", "list", "--search", "bytes", "--json")).json[0]["id"]
    both = await program.run("tasks", "output", task_id)
    assert (hashlib.sha256(both.out).hexdigest(), both.err) == (wanted, b"err")
    one = await program.run("tasks", "output", task_id, "--stream", "stderr")
    assert (one.out, one.err) == (b"err", b"")


async def test_output_is_removed_only_when_somebody_says_so(demo: Demo):
    _, program, desktop = demo
    ran = await program.run("tasks", "create", "command", "echo a secret", "-d", desktop, "--run", "--watch")
    assert (ran.code, ran.text) == (0, "a secret")
    task_id = (await program.run("tasks", "list", "--search", "a secret", "--json")).json[0]["id"]
    refused = await program.run("tasks", "output", task_id, "--remove")
    assert refused.code == 1 and "nobody is here to confirm it" in refused.said
    assert (await program.run("tasks", "output", task_id)).text == "a secret"
    assert (await program.run("tasks", "output", task_id, "--remove", "--yes")).code == 0
    assert (await program.run("tasks", "output", task_id)).text == ""


async def test_content_comes_from_stdin_and_options_reach_the_command(demo: Demo):
    _, program, desktop = demo
    script = b'echo "$GREETING"\nseq 1 5\n'
    flags = ["-d", desktop, "--env", "GREETING=a=b c", "--timeout", "1m", "--label", "x", "--watch"]
    ran = await program.run("tasks", "create", "command", "-", *flags, stdin=script)
    assert (ran.code, ran.out) == (0, b"a=b c\n1\n2\n3\n4\n5\n")
    (task,) = (await program.run("tasks", "list", "--label", "x", "--json")).json
    assert (task["timeoutSeconds"], task["env"]) == (60, {"GREETING": "a=b c"})
    tail = await program.run("tasks", "output", task["id"], "--tail", "2")
    assert tail.out == b"4\n5\n"
    unknown = await program.run("tasks", "create", "command", "true", "-d", "elsewhere")
    assert unknown.code == 1
    assert "There is no desktop elsewhere. There is: Demo desktop." in unknown.said


async def test_a_prompt_shows_the_agents_text_and_waits_for_review(demo: Demo):
    _, program, desktop = demo
    prompt = ["tasks", "create", "prompt", "What is the disk usage?", "-d", desktop, "--approval", "--watch"]
    ran = await program.run(*prompt)
    assert ran.code == 0
    assert "Disk" in ran.text
    assert "▸ shell" in ran.said and "waits for review" in ran.said

    (approval,) = (await program.run("approvals", "list", "--json")).json
    answer = await program.run("tasks", "output", approval["taskId"])
    assert answer.text == ran.text
    row = (await program.run("approvals", "list")).text.split("\t")
    assert row[:3] == [approval["id"], approval["taskId"], "pending"]

    done = await program.run("approvals", "approve", approval["id"])
    assert (done.code, done.text) == (0, approval["taskId"])
    assert await status(program, approval["taskId"]) == "done"
    late = await program.run("tasks", "review", approval["taskId"], "reject")
    assert late.code == 1 and "(task_not_in_review)" in late.said

    # Watched afterwards, it is the whole run, and what became of it.
    assert (await program.run("tasks", "watch", approval["taskId"])).code == 0

    again = await program.run("tasks", "retry", approval["taskId"], "--json")
    assert again.json["retryOf"] == approval["taskId"]


async def test_ctrl_c_in_a_script_leaves_the_task_running_and_says_how_to_go_on(demo: Demo):
    _, program, desktop = demo
    task_id = await create(program, desktop, "echo begun; exec sleep 300", "--run")
    async with program.start("tasks", "watch", task_id) as watching:
        await watching.wrote(b"begun")
        watching.press_ctrl_c()
        assert await watching.ended() == 130
        await watching.wrote(b"Left running", to="err")
    assert await status(program, task_id) == "running"
    cancelled = await program.run("tasks", "cancel", task_id, "--wait", "20", "--json")
    assert cancelled.json["status"] == "cancelled"
    watched = await program.run("tasks", "watch", task_id)
    assert watched.code == 143 and "was cancelled" in watched.said


async def test_ctrl_c_on_a_terminal_asks_and_can_cancel(demo: Demo):
    _, program, desktop = demo
    task_id = await create(program, desktop, "printf '\\033]0;evil\\007'; echo begun; exec sleep 300")
    async with open_terminal(program, "tasks", "run", task_id, "--watch") as terminal:
        await terminal.shows("begun")
        assert "␛]0;evil␇" in terminal.read().decode()
        terminal.type("\x03")
        await terminal.shows("Cancel it [c]")
        terminal.type("w\n")
        await terminal.shows("Watching on.")
        terminal.type("\x03")
        await until(lambda: terminal.read().count(b"Cancel it [c]") == 2, "the question again")
        assert await status(program, task_id) == "running"
        terminal.type("c\n")
        await terminal.shows("was cancelled")
        assert await terminal.ended() == 143
    assert await status(program, task_id) == "cancelled"


async def test_a_second_ctrl_c_leaves_the_task_running(demo: Demo):
    _, program, desktop = demo
    task_id = await create(program, desktop, "echo begun; exec sleep 300", "--run")
    async with open_terminal(program, "tasks", "watch", task_id) as terminal:
        await terminal.shows("begun")
        terminal.type("\x03")
        await terminal.shows("Cancel it [c]")
        terminal.type("\x03")
        await terminal.shows("Left running")
        assert await terminal.ended() == 130
    assert await status(program, task_id) == "running"
    await program.run("tasks", "cancel", task_id, "--wait", "20")


async def test_a_lost_connection_is_taken_up_where_it_stopped(demo: Demo, tmp_path: Path):
    server, program, desktop = demo
    key = (await program.run("keys", "create", "watcher", "--role", "operator")).text
    address = urlsplit(server.url)
    assert address.hostname and address.port
    task_id = await create(program, desktop, "for i in 1 2 3 4 5 6; do echo line $i; sleep 0.3; done", "--run")
    async with open_proxy(address.hostname, address.port) as proxy:
        elsewhere = {
            "MISSION_CONTROL_URL": f"http://127.0.0.1:{proxy.port}",
            "MISSION_CONTROL_API_KEY": key,
            "MISSION_CONTROL_DATA_DIR": str(tmp_path / "nothing"),
        }
        async with program.start("tasks", "watch", task_id, elsewhere=elsewhere) as watching:
            await watching.wrote(b"line 2\n")
            proxy.reset()
            await watching.wrote(b"The connection was lost", to="err")
            assert await watching.ended() == 0
            await watching.wrote(b"Connected again", to="err")
            assert bytes(watching.out) == b"".join(b"line %d\n" % number for number in range(1, 7))


async def test_a_restarted_server_is_found_again_by_who_watches(tmp_path: Path):
    async with open_demo(tmp_path) as (server, program, desktop):
        gate = tmp_path / "gate"
        task_id = await create(
            program, desktop, f"echo before; until [ -e {gate} ]; do sleep 0.1; done; echo after; exit 3"
        )
        async with program.start("tasks", "run", task_id, "--watch") as watching:
            await watching.wrote(b"before\n")
            await server.stop()
            await watching.wrote(b"The connection was lost", to="err")
            async with open_server(program.directory):
                gate.touch()
                assert await watching.ended() == 3
                assert bytes(watching.out) == b"before\nafter\n"


async def test_keys_are_made_used_and_revoked(tmp_path: Path):
    async with open_server(tmp_path / "data", demo=False) as server:
        program = Program(server.data_dir)
        made = await program.run("keys", "create", "reader", "--role", "viewer", "--expires", "30d")
        assert (made.code, made.err) == (0, b"")
        assert re.fullmatch(rb"mc_k_[A-Za-z0-9_-]{43}\n", made.out)

        elsewhere = {"MISSION_CONTROL_DATA_DIR": str(tmp_path / "x"), "MISSION_CONTROL_URL": server.url}
        with_key = elsewhere | {"MISSION_CONTROL_API_KEY": made.text}
        assert (await program.run("tasks", "list", "--json", elsewhere=with_key)).json == []
        forbidden = await program.run("keys", "create", "mine", elsewhere=with_key)
        assert forbidden.code == 4 and "(forbidden)" in forbidden.said
        assert forbidden.out == b""

        keys = (await program.run("keys", "list", "--json")).json
        (key,) = (one for one in keys if one["name"] == "reader")
        assert key["role"] == "viewer" and key["expiresAt"]
        assert made.text not in (await program.run("keys", "list")).text
        assert (await program.run("keys", "revoke", "reader")).text == key["id"]
        gone = await program.run("tasks", "list", elsewhere=with_key)
        assert gone.code == 4 and "(unauthorized)" in gone.said


async def test_open_prints_a_link_that_signs_in_once(tmp_path: Path):
    async with open_server(tmp_path / "data", demo=False) as server:
        program = Program(server.data_dir)
        ran = await program.run("open")
        assert (ran.code, ran.err) == (0, b"")
        url, _, token = ran.text.partition("/#signin=")
        assert url == server.url
        async with httpx2.AsyncClient(trust_env=False) as browser:
            for status_code in (201, 401):
                answer = await browser.post(f"{url}/api/auth/session", json={"link": token})
                assert answer.status_code == status_code
        key = (await program.run("keys", "create", "admin", "--role", "admin")).text
        remote = await program.run("open", "--url", server.url, elsewhere={"MISSION_CONTROL_API_KEY": key})
        assert remote.code == 4 and "(local_only)" in remote.said


async def test_the_administration_socket_is_the_owners_alone_and_works_below_a_long_path(tmp_path: Path):
    directory = tmp_path / ("deep" * 30) / "data"
    directory.parent.mkdir()
    async with open_server(directory, demo=False):
        program = Program(directory)
        assert stat.S_IMODE((directory / "control.sock").stat().st_mode) == 0o600
        assert (await program.run("desktops", "list", "--json")).json == []


async def test_a_taken_port_and_a_directory_in_use_are_told_in_one_sentence(tmp_path: Path):
    async with open_server(tmp_path / "data", demo=False) as server:
        program = Program(server.data_dir)
        same_directory = await program.run("serve", "--port", "0")
        assert same_directory.code == 1
        assert "is in use by process" in same_directory.said and len(same_directory.said.splitlines()) == 1
        port = str(urlsplit(server.url).port)
        same_port = await program.run("serve", "--port", port, "--data-dir", str(tmp_path / "other"))
        assert same_port.code == 1
        assert f"Port {port} on 127.0.0.1 is in use" in same_port.said and len(same_port.said.splitlines()) == 1


async def test_on_a_terminal_a_list_is_a_table_that_keeps_its_ids_whole(demo: Demo):
    _, program, desktop = demo
    task_id = await create(program, desktop, "printf '\\033]0;evil\\007'; " + "x" * 300, "--title", "a \x1b[2J title")
    async with open_terminal(program, "tasks", "list", "--search", "evil") as terminal:
        assert await terminal.ended() == 0
        shown = terminal.read().decode()
    heading, row, *_ = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert heading.split()[:2] == ["ID", "STATUS"] and "WHAT" in heading
    assert row.startswith(task_id) and "pending" in row and "a ␛[2J title" in row
    assert "\x1b[2J" not in shown


async def test_a_reader_that_has_enough_ends_a_command_quietly(demo: Demo):
    _, program, desktop = demo
    task_id = await create(program, desktop, "yes | head -c 300000")
    script = f'{shlex.join(command_line("tasks", "run", task_id, "--watch"))} | head -n 1; echo "${{PIPESTATUS[0]}}"'
    ran = await anyio.run_process(["bash", "-c", script], env=program.env(), check=False)
    assert (ran.stdout, ran.stderr) == (b"y\n141\n", b"")


async def test_what_is_not_text_is_refused_before_anything_is_created(demo: Demo):
    _, program, desktop = demo
    for content, stdin in (("-", b"\xff"), (b"\xff".decode(errors="surrogateescape"), b"")):
        refused = await program.run("tasks", "create", "command", content, "-d", desktop, stdin=stdin)
        assert refused.code == 2
        assert "not UTF-8 text" in refused.said and len(refused.said.splitlines()) == 1


async def test_a_check_tells_each_step(demo: Demo):
    _, program, _ = demo
    checked = await program.run("desktops", "check", "Demo desktop")
    assert checked.code == 0
    assert "✓ connect" in checked.said and "✓ host key" in checked.said and "✓ shell" in checked.said
    steps = (await program.run("desktops", "check", "Demo desktop", "--json")).json["steps"]
    assert [step["name"] for step in steps][:4] == ["connect", "host_key", "authenticate", "shell"]


async def test_a_desktop_is_added_when_its_host_key_is_confirmed(demo: Demo, tmp_path: Path):
    _, program, _ = demo
    async with open_sshd() as host:
        identity = tmp_path / "id"
        identity.write_text(private_text(host.user_key))
        fingerprint = host.host_keys["ed25519"].get_fingerprint()
        add = ["desktops", "add", f"{host.username}@127.0.0.1:{host.port}", "-i", str(identity), "--name", "build-1"]

        nobody = await program.run(*add)
        assert nobody.code == 1
        assert fingerprint in nobody.said and "--accept-fingerprint" in nobody.said

        wrong = await program.run(*add, "--accept-fingerprint", "SHA256:" + "a" * 43)
        assert wrong.code == 1 and "(validation_failed)" in wrong.said

        async with open_terminal(program, *add) as terminal:
            await terminal.shows("Type yes")
            assert fingerprint in terminal.read().decode()
            terminal.type("no\n")
            assert await terminal.ended() == 1
        assert "build-1" not in (await program.run("desktops", "list")).text

        async with open_terminal(program, *add, "--label", "x") as terminal:
            await terminal.shows("Type yes")
            terminal.type("yes\n")
            await terminal.shows("build-1 is running.")
            assert await terminal.ended() == 0
            assert "✓ authenticate" in terminal.read().decode()
        ran = await program.run("tasks", "create", "command", "echo there", "-d", "build-1", "--watch")
        assert (ran.code, ran.out) == (0, b"there\n")

        removed = await program.run("desktops", "remove", "build-1")
        assert removed.code == 0
        assert "build-1" not in (await program.run("desktops", "list")).text
        assert removed.text in (await program.run("desktops", "list", "--removed")).text

        again = await program.run(*add, "--accept-fingerprint", fingerprint, "--json")
        assert again.code == 0, again.said
        assert again.json["status"] == "running"
        await program.run("desktops", "remove", again.json["id"])


async def test_the_log_is_checked_while_a_server_writes_it_and_afterwards(tmp_path: Path):
    async with open_server(tmp_path / "data", demo=False) as server:
        program = Program(server.data_dir)
        running = await program.run("log", "verify")
        assert running.code == 0, running.text
        assert "is sound" in running.text
        await server.stop()
    assert (await program.run("log", "verify", "--json")).json["isSound"] is True
    with closing(sqlite3.connect(server.data_dir / "mission-control.db")) as database:
        database.execute("update events set body = cast(replace(body, 'tests', 'guest') as blob)")
        database.commit()
    damaged = await program.run("log", "verify")
    assert damaged.code == 1
    assert "the digest differs" in damaged.text and "problem" in damaged.text
    nothing = await program.run("log", "verify", "--data-dir", str(tmp_path))
    assert nothing.code == 1 and "There is no event log" in nothing.said


async def test_a_restored_log_is_named_anew_while_no_server_runs_on_it(tmp_path: Path):
    async with open_server(tmp_path / "data", demo=False) as server:
        program = Program(server.data_dir)
        before = (await server.http.get("/api/auth/me")).json()["logId"]
        key = server.http.headers["x-api-key"]
        refused = await program.run("log", "restored")
        assert refused.code == 1 and "in use" in refused.said
    named = await program.run("log", "restored")
    assert named.code == 0 and named.text != before
    async with open_server(tmp_path / "data", demo=False, key=key) as server:
        assert (await server.http.get("/api/auth/me")).json()["logId"] == named.text


async def test_a_host_is_added_as_a_known_hosts_file_trusts_it_and_through_another(demo: Demo, tmp_path: Path):
    program = demo.program
    ca, inner_key, stranger = key("ssh-ed25519", "authority"), key("ssh-ed25519", "inner"), key("ssh-ed25519", "other")
    certificate = ca.generate_host_certificate(inner_key, "inner", principals=["127.0.0.1"])
    (tmp_path / "inner-cert.pub").write_bytes(certificate.export_certificate())
    identity, known = tmp_path / "id", tmp_path / "known_hosts"
    async with (
        open_sshd() as bastion,
        open_sshd(host_keys={"ed25519": inner_key}, options=(f"HostCertificate {tmp_path}/inner-cert.pub",)) as inner,
    ):
        identity.write_text(private_text(bastion.user_key))

        async def add(port: int, name: str, *flags: str) -> Ran:
            where = f"{inner.username}@127.0.0.1:{port}"
            return await program.run("desktops", "add", where, "-i", str(identity), "--name", name, *flags)

        known.write_text(f"[127.0.0.1]:{bastion.port} {public_line(stranger)}\n")
        refused = await add(bastion.port, "bastion", "--known-hosts", str(known))
        assert refused.code == 1 and "does not name" in refused.said
        assert "bastion" not in (await program.run("desktops", "list")).text

        known.write_text(
            f"[127.0.0.1]:{bastion.port} {public_line(bastion.host_keys['ed25519'])}\n"
            f"@cert-authority [127.0.0.1]:{inner.port} {public_line(ca)}\n"
        )
        added = await add(bastion.port, "bastion", "--known-hosts", str(known))
        assert added.code == 0, added.said
        added = await add(inner.port, "inner", "--known-hosts", str(known), "--jump", "bastion")
        assert added.code == 0, added.said
        assert "Accepted publickey" in inner.log
        kept = await program.run("desktops", "remove", "bastion")
        assert kept.code != 0 and "leads through" in kept.said

        known.write_text(known.read_text() + f"@revoked * {public_line(inner_key)}\n")
        revoked = await add(inner.port, "revoked", "--known-hosts", str(known))
        assert revoked.code == 1 and "revoked" in revoked.said
        for name in ("revoked", "inner", "bastion"):
            await program.run("desktops", "remove", name)
