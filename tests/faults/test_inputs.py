"""Whatever a command prints and however it is written, it arrives as it is, while link and server fail."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.site import END_SECONDS, open_site
from tests.support.waiting import until


class Input(NamedTuple):
    """A command, and what is known about it."""

    content: str
    stdout: bytes = b""
    stderr: bytes | None = b""  # None: whatever the shell says
    code: int | None = 0
    signal: str | None = None


def python(program: str) -> str:
    return shlex.join([sys.executable, "-ISc", program])


EVERY_BYTE = bytes(range(256)) * 4
DOCUMENT = 'it\'s "$HOME" `x` \\ ! ünï 🚀\n'

INPUTS: dict[str, Input] = {
    "NUL and invalid UTF-8": Input(python("import os; os.write(1, bytes(range(256)) * 4)"), EVERY_BYTE),
    "characters cut in two": Input(
        python("import os,time\nfor b in 'aé€🚀'.encode(): os.write(1, bytes([b])); time.sleep(.02)"), "aé€🚀".encode()
    ),
    "no newline at the end": Input("printf 'one\\ntwo'", b"one\ntwo"),
    "carriage returns": Input("printf '1%%\\r2%%\\r3%%\\n'", b"1%\r2%\r3%\n"),
    "a million empty lines": Input("yes '' | head -n 1000000", b"\n" * 1_000_000),
    "nothing at all": Input("true"),
    "a syntax error": Input("echo before; if", b"", None, 2),
    "an unknown command": Input("no-such-command-anywhere", b"", None, 127),
    "a here document": Input(f"cat <<'END'\n{DOCUMENT}END\n", DOCUMENT.encode()),
    "quotes and newlines": Input("printf '%s|' 'a\nb' \"c'd\" 'e\"f' $'g\\th' \\\ni", b"a\nb|c'd|e\"f|g\th|i|"),
    "a command of 120 kB": Input("printf %s " + "x" * 119_000, b"x" * 119_000),
    "an empty standard input": Input("cat; echo closed", b"closed\n"),
    "a closed standard input": Input("exec 0<&-; echo on", b"on\n"),
    "closed outputs": Input("exec 1>&- 2>&-; sleep 0.1; exit 5", code=5),
    "exec": Input("exec echo replaced", b"replaced\n"),
    "the end of its own shell": Input("kill -9 $$", code=None, signal="SIGKILL"),
    "a signal to its group": Input("kill 0; echo not reached", code=None, signal="SIGTERM"),
    "a segmentation fault": Input("kill -SEGV $$", code=None, signal="SIGSEGV"),
    "exit 255": Input("exit 255", code=255),
    "a dead background child": Input("true & wait; echo done", b"done\n"),
    "a child that prints shortly after the shell's end": Input("(sleep 0.3; echo late) & echo early", b"early\nlate\n"),
    "a name that looks like an option": Input("printf -- '-oProxyCommand=id\\n'", b"-oProxyCommand=id\n"),
    "what looks like a frame": Input(python("import os; os.write(1, b' \\1' + bytes(58))"), b" \x01" + bytes(58)),
    "interleaved streams": Input(
        "i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done",
        b"".join(b"out %d\n" % n for n in range(300)),
        b"".join(b"err %d\n" % n for n in range(300)),
    ),
}


async def test_every_kind_of_output_and_every_end_arrive_as_they_are_while_link_and_server_fail(tmp_path: Path):
    async with open_site(tmp_path) as site:
        for number, (name, one) in enumerate(INPUTS.items()):
            facts: dict[str, Any] = {"code": one.code, "signal": one.signal}
            written = {"stdout": one.stdout, "stderr": one.stderr} if one.stderr is not None else None
            await site.start(name, one.content, written=written, **facts)
            if number % 5 == 2:
                site.proxy.reset()
            if number % 10 == 7:
                await site.restart_server()
        await site.check()


async def test_a_line_of_twenty_megabytes_arrives_whole(tmp_path: Path):
    async with open_site(tmp_path, watchers=1) as site:
        content = python("import os\nfor n in range(20): os.write(1, bytes([97 + n]) * 1_000_000)")
        line = b"".join(bytes([97 + n]) * 1_000_000 for n in range(20))
        run = await site.start("one line", content, written={"stdout": line})
        await site.until_output(run, 3_000_000)
        await site.restart_server()
        await site.check()


async def test_an_endless_flood_can_be_cancelled_and_is_whole_up_to_its_end(tmp_path: Path):
    async with open_site(tmp_path, watchers=1) as site:
        run = await site.start("yes", "yes 0123456789")
        await site.until_output(run, 2_000_000)
        site.proxy.reset()
        await site.until_output(run, 4_000_000)
        await site.cancel(run)
        await site.ended(run)
        history = await site.check()
        data = b"".join(one.data for one in history.of(run.task_id) if one.type == "task.output")
        assert data == (b"0123456789\n" * (len(data) // 11 + 1))[: len(data)]


async def test_children_that_outlive_the_shell_and_hold_its_output_do_not_hold_the_task(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.start("leaves a child", "echo begun; sleep 1000 & echo $! > ~/child; exit 4", code=4)
        end = await site.ended(run)
        child = int((site.home / "child").read_text())
        (left,) = end["leftRunning"]
        assert (left["pid"], left["user"], "sleep 1000" in left["command"]) == (child, site.host.username, True)
        await site.check()
        assert child in site.processes(), "it is named, not killed"


async def test_a_cancel_reaches_children_that_changed_their_session(tmp_path: Path):
    async with open_site(tmp_path) as site:
        program = "import os,time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\ntime.sleep(1000)"
        content = f"setsid sleep 1000 & {python(program)}; trap '' TERM; echo ready; while :; do sleep 0.1; done"
        run = await site.start("scattered", content)
        await site.until_output(run, 6)
        assert len(site.command_processes(run.task_id)) >= 3
        await site.cancel(run)
        end = await site.ended(run)
        assert (end["status"], end.get("leftRunning") or []) == ("cancelled", [])
        await site.until_dead(run)
        await site.check()


async def test_a_stopped_process_can_be_cancelled(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.start("stopped", "echo ready; kill -STOP $$; echo not reached")
        await site.until_output(run, 6)
        await until(lambda: is_stopped(site, run.task_id), "it to be stopped", seconds=END_SECONDS)
        await site.cancel(run)
        assert (await site.ended(run))["status"] == "cancelled"
        await site.check()


def is_stopped(site: Any, task_id: str) -> bool:
    states = [Path(f"/proc/{one.pid}/stat").read_text() for one in site.command_processes(task_id)]
    return any(state.rpartition(") ")[2].startswith("T") for state in states)
