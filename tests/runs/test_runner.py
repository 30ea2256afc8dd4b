"""Tasks on real desktops, from `run` to their end in the log."""

import os
import sys
from pathlib import Path

import anyio
import pytest

from mission_control.control.door import open_control
from mission_control.domain.desktops import DesktopEdit, NewOutpost, SshEdit
from mission_control.domain.errors import Refused
from mission_control.domain.filters import Filter
from mission_control.domain.secrets import NewSecret
from mission_control.domain.tasks import NewTask, RunEnd
from mission_control.domain.values import Error
from mission_control.log.vault import Vault
from tests.support.chat_endpoint import (
    DONE,
    Exchange,
    answer,
    chunk,
    open_chat_endpoint,
    replies,
    sse,
    tool_call,
    usage,
)
from tests.support.processes import is_alive, processes_with
from tests.support.proxy import open_proxy
from tests.support.server import full_disk
from tests.support.sshd import SshHost, key
from tests.support.waiting import until
from tests.support.world import MIA, open_sshd, open_world, with_agent


async def test_a_command_ends_with_its_own_exit_code_and_all_its_output(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host)
        task = await world.ended(await world.run(desktop, "echo out; echo err >&2; printf 'no newline'; exit 3"))
        assert (task.status, task.exit_code, task.error and task.error.code) == ("failed", 3, "exit_nonzero")
        assert await world.output(task, "stdout") == b"out\nno newline"
        assert await world.output(task, "stderr") == b"err\n"
        types = [event["type"] for event in await world.events(task)]
        assert types[-1] == "task.failed", "the end comes after the last byte"
        assert types.count("task.failed") == 1


async def test_a_command_reaches_the_shell_untouched(tmp_path: Path):
    content = """cat <<'END'
it's "quoted" $HOME `date` \\ ! * ~ ünïcode 🚀
END
echo 'a'"b"\\c;
echo done"""
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host)
        task = await world.ended(await world.run(desktop, content))
        assert task.status == "done"
        expected = 'it\'s "quoted" $HOME `date` \\ ! * ~ ünïcode 🚀\nabc\ndone\n'
        assert (await world.output(task, "stdout")).decode() == expected


async def test_bytes_that_are_not_text_are_recorded_exactly(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host)
        task = await world.ended(await world.run(desktop, r"printf '\377\000\376ok\n\303'"))
        assert await world.output(task, "stdout") == b"\xff\x00\xfeok\n\xc3"


async def test_a_flood_is_recorded_whole_with_offsets_that_join(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host)
        task = await world.ended(await world.run(desktop, "seq 1 300000"))
        expected = "".join(f"{n}\n" for n in range(1, 300001)).encode()
        assert await world.output(task, "stdout") == expected
        offset = line = 0
        for event in await world.events(task, "task.output"):
            assert (event["offset"], event["position"], event["line"]) == (offset, offset, line)
            offset += event["length"]
            line += event["text"].count("\n")


async def test_more_tasks_than_places_wait_in_the_order_in_which_they_were_started(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host, max_concurrent_tasks=1)
        gate = tmp_path / "gate"
        first = await world.run(desktop, f"until [ -e {gate} ]; do sleep 0.02; done")
        second, third = await world.run(desktop, "echo 2"), await world.run(desktop, "echo 3")
        await world.in_phase(first, "streaming")
        assert [(await world.task(task)).phase for task in (second, third)] == ["queued", "queued"]
        gate.touch()
        ends = [(await world.ended(task)).executed_at or "" for task in (first, second, third)]
        assert ends == sorted(ends)


async def test_that_a_run_begins_goes_into_the_commit_that_started_it(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        task = await world.ended(await world.run(await world.add_desktop(host), "true"))
        page = await world.control.log.read_after(0, Filter(task_id=task.id))
        [started] = [event.at_us for event in page.events if event.type == "task.started"]
        [starting] = [event.at_us for event in page.events if b'"phase":"starting"' in (event.body or b"")]
        assert started == starting < page.events[-1].at_us


async def test_a_start_that_the_log_refuses_reaches_no_desktop_and_can_be_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mark = tmp_path / "mark"
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host)
        new = NewTask(type="command", content=f"echo once >> {mark}", desktop_id=desktop.id)
        (task,) = await world.control.tasks.create([new], MIA)
        with full_disk(monkeypatch), pytest.raises(Refused) as refused:
            await world.control.tasks.run(task.id, MIA)
        assert refused.value.code == "log_unavailable"
        assert (await world.task(task)).status == "pending"
        assert (await world.ended(await world.run(desktop, "true"))).status == "done"
        assert not mark.exists()
        await world.control.tasks.run(task.id, MIA)
        assert (await world.ended(task)).status == "done"
        assert mark.read_text() == "once\n"


async def test_a_queued_task_is_cancelled_at_once_and_never_runs(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host, max_concurrent_tasks=1)
        gate, mark = tmp_path / "gate", tmp_path / "mark"
        first = await world.run(desktop, f"until [ -e {gate} ]; do sleep 0.02; done")
        await world.in_phase(first, "streaming")
        second = await world.run(desktop, f"touch {mark}")
        assert (await world.control.tasks.cancel(second.id, MIA)).status == "cancelled"
        gate.touch()
        await world.ended(first)
        last = await world.ended(await world.run(desktop, "true"))
        assert last.status == "done" and not mark.exists()


async def test_a_timeout_ends_a_command_as_failed(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host)
        task = await world.ended(
            await world.run(desktop, "trap 'exit 7' TERM; while :; do sleep 0.05; done", timeout_seconds=1)
        )
        assert task.status == "failed" and task.error and task.error.code == "timeout"


async def test_a_command_starts_in_the_folder_that_its_task_names(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host)
        task = await world.ended(await world.run(desktop, "pwd", cwd="/usr/share"))
        assert task.status == "done" and await world.output(task, "stdout") == b"/usr/share\n"
        missing = await world.ended(await world.run(desktop, "pwd", cwd="/no/such/place"))
        assert missing.error and (missing.status, missing.error.code) == ("failed", "cwd_invalid")
        assert "/no/such/place" in missing.error.message


async def test_a_finished_task_waits_for_approval_when_it_asks_for_it(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host)
        task = await world.ended(await world.run(desktop, "echo look", requires_approval=True))
        assert task.status == "review"
        assert (await world.control.tasks.review(task.id, "approve", None, MIA)).status == "done"


async def test_a_failing_task_never_asks_for_approval(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host)
        task = await world.ended(await world.run(desktop, "false", requires_approval=True))
        assert task.status == "failed"


@pytest.mark.parametrize("how", ["reset", "black_hole"])
async def test_a_command_goes_on_while_the_connection_is_lost_and_nothing_of_it_is_missing(tmp_path: Path, how: str):
    gate = tmp_path / "gate"
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host, port=proxy.port)
        task = await world.run(desktop, f"echo before; until [ -e {gate} ]; do sleep 0.02; done; echo after; exit 3")
        await world.recorded(task, b"before\n")
        getattr(proxy, how)()
        await world.until(lambda: world.desktop(desktop).link == "reconnecting")
        assert world.desktop(desktop).status == "running", "it is not given up yet"
        gate.touch()
        proxy.heal()
        ended = await world.ended(task)
        assert (ended.status, ended.exit_code) == ("failed", 3)
        assert await world.output(task, "stdout") == b"before\nafter\n"
        await world.until(lambda: world.desktop(desktop).link == "up")
        assert (await world.ended(await world.run(desktop, "true"))).status == "done"


async def test_what_ran_when_the_server_went_away_goes_on_and_what_waited_still_runs(tmp_path: Path):
    gate = tmp_path / "gate"
    async with open_sshd() as host:
        async with open_world(tmp_path) as world:
            desktop = await world.add_desktop(host, max_concurrent_tasks=1)
            running = await world.run(desktop, f"echo one; until [ -e {gate} ]; do sleep 0.02; done; echo two; exit 4")
            await world.recorded(running, b"one\n")
            waiting = await world.run(desktop, "echo at last")
        gate.touch()
        async with open_world(tmp_path) as world:
            ended = await world.ended(running)
            assert (ended.status, ended.exit_code) == ("failed", 4)
            assert await world.output(running, "stdout") == b"one\ntwo\n"
            assert (await world.ended(waiting)).status == "done"


async def test_a_cancel_while_the_desktop_is_away_reaches_it_when_it_is_back(tmp_path: Path):
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host, port=proxy.port)
        task = await world.run(desktop, "echo begun; exec sleep 1000")
        await world.recorded(task, b"begun\n")
        proxy.refuse()
        proxy.reset()
        await world.until(lambda: world.desktop(desktop).link == "reconnecting")
        asked = await world.control.tasks.cancel(task.id, MIA)
        assert asked.status == "running" and asked.cancel_requested_at
        proxy.heal()
        ended = await world.ended(task)
        assert (ended.status, ended.signal) == ("cancelled", "SIGTERM")


async def test_a_desktop_that_stays_away_fails_its_runs_and_tells_their_true_end_when_it_is_back(tmp_path: Path):
    gate = tmp_path / "gate"
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy:
        async with open_world(tmp_path, patience_s=0.2) as world:
            desktop = await world.add_desktop(host, port=proxy.port)
            task = await world.run(desktop, f"echo one; until [ -e {gate} ]; do sleep 0.02; done; echo two; exit 5")
            await world.recorded(task, b"one\n")
            proxy.refuse()
            proxy.reset()
            failed = await world.ended(task)
            assert failed.error and (failed.status, failed.error.code) == ("failed", "desktop_unreachable")
            gate.touch()
            proxy.heal()
            with anyio.fail_after(30):
                while not (notes := await world.events(task, "task.note")):
                    await world.control.log.wait_beyond(world.control.log.head)
            assert "exited with code 5" in notes[0]["text"]
            assert await world.output(task, "stdout") == b"one\ntwo\n"
            late = [event for event in await world.events(task, "task.output") if event.get("late")]
            assert [event["text"] for event in late] == ["two\n"]
            assert (await world.task(task)).status == "failed", "its status stays"


async def test_what_a_further_attempt_of_a_prompt_said_while_its_desktop_was_away_is_recorded_when_it_is_back(
    tmp_path: Path,
):
    may_go_on = anyio.Event()
    half, rest = sse(chunk("Half of it")), sse(chunk(", and the rest.")) + DONE
    refusal = '{"error": {"message": "Unrecognized parameter: stream_options"}}'
    scripts = [replies(refusal, status=400, content_type="application/json"), replies(half, may_go_on, rest)]
    async with (
        open_sshd() as host,
        open_proxy("127.0.0.1", host.port) as proxy,
        open_chat_endpoint(*scripts) as endpoint,
        open_world(tmp_path, patience_s=0.2) as world,
    ):
        desktop = await world.add_desktop(host, port=proxy.port, **with_agent(endpoint.url))
        await world.until(lambda: world.desktop(desktop).agent_ready)
        task = await world.run(desktop, "All of it", type="prompt")
        await world.recorded(task, refusal.encode() + half, "response")
        proxy.refuse()
        proxy.reset()
        failed = await world.ended(task)
        assert failed.error and failed.error.code == "desktop_unreachable"
        may_go_on.set()
        proxy.heal()
        with anyio.fail_after(30):
            while not (notes := await world.events(task, "task.note")):
                await world.control.log.wait_beyond(world.control.log.head)
        assert "The request was over" in notes[-1]["text"]
        assert await world.output(task, "response") == refusal.encode() + half + rest


def files_of_outpost(host: SshHost) -> list[str]:
    """Where one lives; a walk, unlike a glob, does not mind that they are being removed."""
    return [folder for folder, _, files in os.walk(host.home) if "instance" in files]


async def test_a_desktop_that_is_removed_keeps_nothing_of_ours(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host)
        assert (await world.ended(await world.run(desktop, "true"))).status == "done"
        assert files_of_outpost(host), "its outpost lives there"
        await world.control.desktops.remove(desktop.id, MIA)
        await until(lambda: not files_of_outpost(host), "the outpost's files to be gone")
        await until(lambda: not processes_with(f"HOME={host.home}"), "its processes to be gone")


async def test_what_runs_of_a_task_that_is_over_is_ended_when_its_desktop_is_back(tmp_path: Path):
    async with open_sshd() as host:
        async with open_world(tmp_path) as world:
            desktop = await world.add_desktop(host)
            task = await world.run(desktop, "echo $$; exec sleep 1000")
            with anyio.fail_after(30):
                while not (pid := await world.output(task, "stdout")):
                    await world.control.log.wait_beyond(world.control.log.head)
        async with open_control(tmp_path) as control:
            await control.tasks.finish(task.id, RunEnd(error=Error(code="run_lost", message="For this test.")))
        async with open_world(tmp_path):
            await until(lambda: not is_alive(int(pid)), "the command to be ended")


async def test_three_hundred_commands_at_once_on_one_desktop_all_end_well(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host, max_concurrent_tasks=300)
        new = NewTask(type="command", content="echo $MISSION_CONTROL_TASK_ID", desktop_id=desktop.id, run=True)
        tasks = await world.control.tasks.create([new] * 300, MIA, batch=True)
        for task in tasks:
            ended = await world.ended(task)
            assert ended.status == "done", ended.error
        assert await world.output(tasks[-1], "stdout") == f"{tasks[-1].id}\n".encode()


async def test_where_there_is_no_python_commands_run_all_the_same_and_the_desktop_says_what_that_means(tmp_path: Path):
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy:
        async with open_world(tmp_path) as world:
            desktop = await world.add_desktop(host, port=proxy.port, outpost=NewOutpost(python="no-python-here"))
            assert not desktop.durable and desktop.not_durable_because
            assert "no-python-here" in desktop.not_durable_because
            task = await world.ended(await world.run(desktop, "echo hello"))
            assert task.status == "done" and task.instance_id is None
            refused = await world.ended(await world.run(desktop, "pwd", cwd="/tmp"))
            assert refused.error and refused.error.code == "cwd_not_supported"
            lost = await world.run(desktop, "sleep 1000")
            await world.in_phase(lost, "streaming")
            proxy.reset()
            ended = await world.ended(lost)
            assert ended.error and ended.error.code == "connection_lost"
            await world.until(lambda: world.desktop(desktop).link == "up")
            running = await world.run(desktop, "sleep 1000")
            await world.in_phase(running, "streaming")
        async with open_world(tmp_path) as world:
            ended = await world.ended(running)
            assert ended.error and ended.error.code == "run_lost"


async def test_another_python_and_another_place_for_the_outposts_files_can_be_named(tmp_path: Path):
    python, directory = Path(sys.executable).resolve(), tmp_path / "state"
    async with open_sshd() as host, open_world(tmp_path) as world:
        options = NewOutpost(python=str(python), directory=str(directory))
        desktop = await world.add_desktop(host, outpost=options)
        assert desktop.durable and desktop.outpost
        assert desktop.outpost.directory.startswith(str(directory))


async def test_a_desktop_that_is_not_confirmed_takes_no_task(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host, confirm=False)
        assert desktop.status == "pending" and desktop.ssh.offered_fingerprints


async def test_a_prompt_streams_text_tools_and_usage_and_keeps_the_raw_answer(tmp_path: Path):
    said = sse(
        chunk(role="assistant"),
        tool_call(0, "call_1", "shell", '{"command": "ls"}'),
        chunk("Two files"),
        chunk(", both small."),
        chunk(finish="stop"),
        usage(10, 5),
    )

    async def script(exchange: Exchange) -> None:
        await exchange.head()
        for byte in range(0, len(said), 7):
            await exchange.send(said[byte : byte + 7])
        await exchange.send(DONE)
        await exchange.end()

    async with open_sshd() as host, open_chat_endpoint(script) as endpoint, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host, **with_agent(endpoint.url))
        await world.until(lambda: world.desktop(desktop).agent_ready)
        task = await world.ended(await world.run(desktop, "How many files?", type="prompt"))
        assert (task.status, task.result) == ("done", "Two files, both small.")
        assert task.usage and task.usage.total_tokens == 15
        assert await world.output(task, "response") == said + DONE
        progress = await world.events(task, "task.progress")
        assert "".join(item["text"] for item in progress if item["kind"] == "text") == "Two files, both small."
        assert {"tool.started", "tool.finished", "usage"} <= {item["kind"] for item in progress}


async def test_cancelling_a_prompt_closes_its_request(tmp_path: Path):
    async def script(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.send(sse(chunk("Thinking")))
        await exchange.client_left.wait()

    async with open_sshd() as host, open_chat_endpoint(script) as endpoint, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host, **with_agent(endpoint.url))
        await world.until(lambda: world.desktop(desktop).agent_ready)
        task = await world.run(desktop, "Think for ever", type="prompt")
        seen = 0
        with anyio.fail_after(30):
            while not await world.events(task, "task.progress"):
                await world.control.log.wait_beyond(seen)
                seen = world.control.log.head
        await world.control.tasks.cancel(task.id, MIA)
        ended = await world.ended(task)
        assert (ended.status, ended.result) == ("cancelled", "Thinking")


async def test_feedback_continues_the_same_conversation(tmp_path: Path):
    async def script(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.send(answer("First try." if len(exchange.request.json["messages"]) == 1 else "Second try."))
        await exchange.end()

    async with open_sshd() as host, open_chat_endpoint(script) as endpoint, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host, **with_agent(endpoint.url))
        await world.until(lambda: world.desktop(desktop).agent_ready)
        first = await world.ended(await world.run(desktop, "Write it.", type="prompt", requires_approval=True))
        await world.control.tasks.review(first.id, "reject", "Shorter!", MIA, retry=True)
        follow_up = next(task for task in world.control.journal.state.tasks.values() if task.retry_of == first.id)
        await world.control.tasks.run(follow_up.id, MIA)
        assert (await world.ended(follow_up)).result == "Second try."
        messages = endpoint.requests[-1].json["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant", "user"]
        assert messages[0]["content"] == "Write it." and messages[1]["content"] == "First try."
        assert "Shorter!" in messages[2]["content"]


async def test_a_prompt_goes_on_while_the_server_is_away_and_is_said_once(tmp_path: Path):
    may_go_on = anyio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.send(sse(chunk("Half of it")))
        await may_go_on.wait()
        await exchange.send(sse(chunk(", and the rest.")) + answer(""))
        await exchange.end()

    async with open_sshd() as host, open_chat_endpoint(script) as endpoint:
        async with open_world(tmp_path) as world:
            desktop = await world.add_desktop(host, **with_agent(endpoint.url))
            await world.until(lambda: world.desktop(desktop).agent_ready)
            task = await world.run(desktop, "All of it", type="prompt")
            await world.recorded(task, sse(chunk("Half of it")), "response")
        may_go_on.set()
        async with open_world(tmp_path) as world:
            ended = await world.ended(task)
            assert (ended.status, ended.result) == ("done", "Half of it, and the rest.")
            texts = [item.get("text") for item in await world.events(task, "task.progress") if item["kind"] == "text"]
            assert "".join(text or "" for text in texts) == "Half of it, and the rest.", "said once, whoever said it"
        assert len(endpoint.requests) == 1, "asked once"


async def test_a_prompt_that_the_server_asks_itself_is_lost_with_it_and_keeps_what_came(tmp_path: Path):
    async def script(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.send(sse(chunk("Half of it")))
        await exchange.client_left.wait()

    async with open_sshd() as host, open_chat_endpoint(script) as endpoint:
        async with open_world(tmp_path, agent_networks=["127.0.0.0/8"]) as world:
            desktop = await world.add_desktop(host, **with_agent(endpoint.url, via="direct"))
            await world.until(lambda: world.desktop(desktop).agent_ready)
            secret = NewSecret(name="TOKEN", value="it might have been, but the answer ends there")
            await world.control.secrets.create(secret, MIA)
            task = await world.run(desktop, "All of it", type="prompt")
            await world.recorded(task, sse(chunk("Half of it")), "response")
        async with open_world(tmp_path) as world:
            ended = await world.ended(task)
            assert ended.error and (ended.error.code, ended.result) == ("run_lost", "Half of it")
            texts = [item.get("text") for item in await world.events(task, "task.progress") if item["kind"] == "text"]
            assert "".join(text or "" for text in texts) == "Half of it", "said once, whoever said it"


async def test_a_busy_endpoint_is_asked_again_as_a_further_attempt(tmp_path: Path):
    async def script(exchange: Exchange) -> None:
        if len(endpoint.requests) == 1:
            await exchange.head(429, {"content-type": "application/json"})
            await exchange.send(b'{"error": {"message": "Too many requests"}}')
        else:
            await exchange.head()
            await exchange.send(answer("At last."))
        await exchange.end()

    async with open_sshd() as host, open_chat_endpoint(script) as endpoint, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host, **with_agent(endpoint.url))
        await world.until(lambda: world.desktop(desktop).agent_ready)
        task = await world.ended(await world.run(desktop, "Please", type="prompt"))
        assert (task.status, task.result, task.attempt) == ("done", "At last.", 2)
        heads = [event["status"] for event in await world.events(task, "task.response")]
        assert heads == [429, 200]


async def test_a_host_that_was_set_up_anew_is_refused_until_somebody_confirms_its_new_key(tmp_path: Path):
    async with open_world(tmp_path) as world:
        async with open_sshd() as host:
            desktop = await world.add_desktop(host)
        async with open_sshd(port=host.port, host_keys={"ed25519": key("ssh-ed25519", "new host")}) as anew:
            shown = key("ssh-ed25519", "new host").get_fingerprint()
            await world.until(lambda: world.desktop(desktop).status == "error")
            refused = world.desktop(desktop)
            assert refused.error and refused.error.code == "host_key_changed"
            assert refused.ssh.offered_fingerprints == (shown,)
            assert refused.ssh.host_key_fingerprint == desktop.ssh.host_key_fingerprint, "a person confirms"
            assert "Accepted" not in anew.log
            await world.control.desktops.edit(desktop.id, DesktopEdit(ssh=SshEdit(host_key_fingerprint=shown)), MIA)
            await world.until(lambda: world.desktop(desktop).status == "running")
            assert (await world.ended(await world.run(desktop, "true"))).status == "done"


async def test_a_token_sealed_with_another_key_file_stops_neither_the_server_nor_other_tasks(tmp_path: Path):
    async def script(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.send(answer("Hello."))
        await exchange.end()

    async with open_sshd() as host, open_chat_endpoint(script) as endpoint, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host, **with_agent(endpoint.url))
        await world.until(lambda: world.desktop(desktop).agent_ready)
        (tmp_path / "other").mkdir()
        sealed = Vault(tmp_path / "other").seal(desktop.id, "agentToken", "secret-token")
        await world.control.journal.commit([], MIA, beside=[sealed])
        asked = await world.ended(await world.run(desktop, "Hello?", type="prompt"))
        assert asked.error and asked.error.code == "secret_missing"
        await world.control.desktops.restart(desktop.id, MIA)
        await world.until(lambda: world.desktop(desktop).status == "running" and not world.desktop(desktop).agent_ready)
        assert (await world.ended(await world.run(desktop, "true"))).status == "done"


async def test_an_agent_that_goes_away_is_said_on_its_desktop(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host, **with_agent("http://127.0.0.1:9/v1"))
        assert not desktop.agent_ready
        await world.control.desktops.edit(desktop.id, DesktopEdit(agent=None), MIA)
        assert world.desktop(desktop).agent is None
        task = NewTask(type="prompt", content="hello", desktop_id=desktop.id)
        (created,) = await world.control.tasks.create([task], MIA)
        with pytest.raises(Exception, match="no agent endpoint"):
            await world.control.tasks.run(created.id, MIA)
