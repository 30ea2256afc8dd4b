"""A command on a real sshd: what goes in untouched, what comes out byte for byte, and how it ends."""

from __future__ import annotations

import hashlib
import os
import random
import resource
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import pytest

from mission_control.domain.output import OutputCutter, Stream
from mission_control.runs.connection import WINDOW_BYTES, ConnectionLimits, SshConnection, open_connection
from mission_control.runs.direct import (
    BUFFER_BYTES_MAX,
    CommandRefused,
    DirectRun,
    RunEnd,
    StopLimits,
    open_command,
)
from tests.support.proxy import open_proxy
from tests.support.sshd import open_sshd, regular_account

QUICK = ConnectionLimits(keepalive_s=0.1, keepalive_count_max=2)
BRISK = StopLimits(term_grace_s=0.3, kill_grace_s=0.3, drain_quiet_s=0.3, drain_s_max=1.0)


@asynccontextmanager
async def open_desktop(account: str | None = None, *, options: tuple[str, ...] = ()) -> AsyncGenerator[SshConnection]:
    async with open_sshd(account=account, options=options) as host, open_connection(host.target()) as connection:
        yield connection


async def read(run: DirectRun) -> tuple[list[tuple[Stream, bytes]], RunEnd]:
    chunks = [chunk async for chunk in run]
    return chunks, run.end


def joined(chunks: list[tuple[Stream, bytes]], stream: Stream = "stdout") -> bytes:
    return b"".join(data for name, data in chunks if name == stream)


async def result_of(connection: SshConnection, content: str, *, tty: bool = False) -> tuple[bytes, bytes, RunEnd]:
    async with open_command(connection, content, tty=tty) as run:
        chunks, end = await read(run)
    return joined(chunks), joined(chunks, "stderr"), end


CONTENTS = {
    "several lines": ("echo one\necho two\n\n# a comment\necho three", "one\ntwo\nthree\n"),
    "single quotes": ("echo 'a b  c' '\"' \\'", "a b  c \" '\n"),
    "double quotes": ('echo "a \\"b\\" `echo c` $((1+1))"', 'a "b" c 2\n'),
    "backslashes": (r"printf '%s\n' 'a\nb\\c'", "a\\nb\\\\c\n"),
    "heredoc": ("cat <<'END'\n$HOME `x` \"'\n  indented\nEND\necho after", "$HOME `x` \"'\n  indented\nafter\n"),
    "heredoc with expansion": ("x=5\ncat <<END\n$x\nEND", "5\n"),
    "specials": ("printf %s '!#$%&()*+,-./:;<=>?@[]^_{|}~'", "!#$%&()*+,-./:;<=>?@[]^_{|}~"),
    "characters": ("printf %s 'é 🙂 \u202e ﷽ \t\x07\x1b\x7f'", "é 🙂 \u202e ﷽ \t\x07\x1b\x7f"),
    "carriage returns": ("printf %s 'a\rb' | od -An -c | tr -d ' \\n'", "a\\rb"),
    "pipes and groups": ("{ echo b; echo a; } | sort; (exit 3) || echo $?", "a\nb\n3\n"),
    "newline at the end": ("echo x\n\n\n", "x\n"),
    "home directory": ('[ "$PWD" = "$(getent passwd "$LOGNAME" | cut -d: -f6)" ] && echo home', "home\n"),
    "non-login shell": ("shopt -q login_shell && echo login || echo plain", "plain\n"),
}


async def test_the_shell_gets_the_content_untouched():
    async with open_desktop() as desktop:
        for name, (content, expected) in CONTENTS.items():
            stdout, _, end = await result_of(desktop, content)
            assert (stdout.decode(), end.is_success) == (expected, True), name


async def test_a_command_of_120_kb_runs():
    comment = "#" + "x" * (120_000 - len("echo ok\n#"))
    async with open_desktop() as desktop:
        assert (await result_of(desktop, "echo ok\n" + comment))[0] == b"ok\n"


@pytest.mark.parametrize("content", ["", "echo a\0b", "\ud800", "x" * 120_001, "é" * 60_001])
async def test_content_that_no_shell_could_be_given_is_refused(content: str):
    with pytest.raises(CommandRefused) as caught:
        async with open_command(None, content):  # type: ignore[arg-type] - it is not looked at
            pass
    assert caught.value.code == "content_invalid"


async def test_a_working_directory_is_refused_rather_than_spliced_into_the_command():
    with pytest.raises(CommandRefused, match="cwd_not_supported"):
        async with open_command(None, "true", cwd="/tmp"):  # type: ignore[arg-type] - it is not looked at
            pass


@pytest.mark.parametrize("env", [{"A=B": "1"}, {"": "1"}, {"1A": "1"}, {"A": "x\0"}, {"A\n": "x"}])
async def test_a_variable_that_cannot_be_one_is_refused(env: dict[str, str]):
    with pytest.raises(CommandRefused, match="env_invalid"):
        async with open_command(None, "true", env=env):  # type: ignore[arg-type] - it is not looked at
            pass


async def test_variables_reach_the_command_where_the_host_accepts_them():
    async with open_desktop() as desktop:
        async with open_command(
            desktop, 'echo "$MISSION_CONTROL_TASK_ID|$GREETING|${OTHER-unset}"',
            task_id="task_7", env={"GREETING": "it's \"me\"\n$x", "OTHER": "refused by this sshd"},
        ) as run:  # fmt: skip
            chunks, _ = await read(run)
        assert joined(chunks).decode() == 'task_7|it\'s "me"\n$x|unset\n'


async def test_stdin_is_empty():
    async with open_desktop() as desktop:
        stdout, _, end = await result_of(desktop, "cat; read x || echo end; cat")
        assert (stdout, end.is_success) == (b"end\n", True)


async def test_both_streams_come_in_the_order_in_which_they_were_written():
    async with open_desktop() as desktop:
        script = "for i in 1 2 3 4 5; do echo out $i; sleep 0.05; echo err $i >&2; sleep 0.05; done"
        async with open_command(desktop, script) as run:
            chunks, _ = await read(run)
    assert [data.decode() for _, data in chunks] == [f"{name} {i}\n" for i in range(1, 6) for name in ("out", "err")]


async def test_bytes_come_as_they_are():
    data = bytes(range(256)) + b"\xff\xfe no final newline"
    octal = "".join(f"\\{byte:03o}" for byte in data)
    async with open_desktop() as desktop:
        assert (await result_of(desktop, f"printf '{octal}'"))[0] == data


@pytest.mark.parametrize(
    ("content", "code", "signal"),
    [
        ("exit 0", 0, None),
        ("exit 7", 7, None),
        ("exit 255", 255, None),
        ("no-such-program", 127, None),
        ("if then", 2, None),
        ("kill -TERM $$", None, "SIGTERM"),
        ("kill -KILL $$", None, "SIGKILL"),
        ("kill -SEGV $$", None, "SIGSEGV"),
    ],
)
async def test_the_end_is_what_the_host_says(content: str, code: int | None, signal: str | None):
    async with open_desktop() as desktop:
        _, _, end = await result_of(desktop, content)
    assert (end.reason, end.exit_code, end.signal) == ("exited", code, signal)
    assert not end.maybe_running
    assert end.is_success == (code == 0)


async def test_with_tty_the_command_has_a_terminal():
    async with open_desktop() as desktop:
        stdout, stderr, end = await result_of(desktop, "tty >/dev/null && stty size && echo $TERM >&2", tty=True)
        assert (stdout, stderr, end.is_success) == (b"40 120\r\nxterm-256color\r\n", b"", True)


async def test_with_tty_a_program_that_asks_gets_no_answer_and_does_not_hang():
    async with open_desktop() as desktop:
        stdout, _, end = await result_of(desktop, "cat; read x || echo end; read y || echo end", tty=True)
        assert (stdout, end.is_success) == (b"end\r\nend\r\n", True)


async def test_a_flood_waits_for_a_slow_reader_in_bounded_memory_and_arrives_complete():
    size, seed = 50 * 1024 * 1024, 7
    script = (
        f"import random,sys; r=random.Random({seed})\nfor _ in range(50): sys.stdout.buffer.write(r.randbytes(2**20))"
    )
    expected, rng = hashlib.sha256(), random.Random(seed)
    for _ in range(50):
        expected.update(rng.randbytes(2**20))
    async with open_desktop() as desktop:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with open_command(desktop, f'python3 -c "{script}"') as run:
            got, digest, waited = 0, hashlib.sha256(), 0
            async for stream, data in run:
                assert stream == "stdout"
                got += len(data)
                digest.update(data)
                assert run.statistics()["waiting_bytes"] <= BUFFER_BYTES_MAX + WINDOW_BYTES
                waited += run.statistics()["is_paused"]
                await anyio.sleep(0.01)  # the slow reader
            assert run.end.is_success
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (got, digest.hexdigest()) == (size, expected.hexdigest())
    assert waited > 5
    assert grown_kib < 20 * 1024


async def test_a_reader_that_stands_still_makes_the_command_wait_and_no_other_one():
    async with open_desktop() as desktop, open_command(desktop, "yes") as flood:
        with anyio.fail_after(10):
            while not flood.statistics()["is_paused"]:
                await anyio.sleep(0.01)
        received = flood.statistics()["received_bytes"]
        assert (await result_of(desktop, "echo quick"))[0] == b"quick\n"
        assert flood.statistics()["received_bytes"] == received
        assert received < 2 * BUFFER_BYTES_MAX


async def test_output_becomes_pieces_and_a_prompt_travels_without_its_newline():
    async with open_desktop() as desktop:
        async with open_command(desktop, "printf 'a\\nb\\nName? '; sleep 0.4; echo Ada; printf end") as run:
            cutter = OutputCutter()
            pieces = [piece async for group in run.pieces(cutter) for piece in group]
    assert b"".join(piece.data for piece in pieces[:-3]) == b"a\nb\n"
    assert [(piece.data, piece.line) for piece in pieces[-3:]] == [(b"Name? ", 2), (b"Ada\n", 2), (b"end", 3)]
    assert cutter.position.lines == 4


async def test_a_command_that_takes_too_long_is_ended():
    async with open_desktop(an_account_that_takes_signals()) as desktop:
        async with open_command(desktop, "echo began; sleep 60; echo never", timeout_s=0.3) as run:
            chunks, end = await read(run)
    assert joined(chunks) == b"began\n"
    assert (end.reason, end.signal, end.maybe_running) == ("timeout", "SIGTERM", False)
    assert 300 <= end.ms < 5000


async def test_cancel_ends_the_command_and_what_it_started():
    async with open_desktop(an_account_that_takes_signals()) as desktop:
        async with open_command(desktop, "sleep 61 & sleep 62 & echo $$; wait") as run:
            _, pid = await anext(run)
            run.cancel()
            run.cancel()
            _, end = await read(run)
        assert (end.reason, end.signal, end.maybe_running) == ("cancelled", "SIGTERM", False)
        assert (await result_of(desktop, f"ps -o stat= --sid {int(pid)} | grep -v Z"))[0] == b""  # zombies have ended


async def test_a_command_that_ignores_term_is_killed_after_the_grace():
    async with open_desktop(an_account_that_takes_signals()) as desktop:
        async with open_command(desktop, "trap '' TERM; echo began; while :; do sleep 0.1; done", limits=BRISK) as run:
            await anext(run)
            run.cancel()
            _, end = await read(run)
    assert (end.reason, end.signal, end.maybe_running) == ("cancelled", "SIGKILL", False)


async def test_what_a_command_says_while_it_is_stopped_is_kept_with_its_true_exit_code():
    async with open_desktop(an_account_that_takes_signals()) as desktop:
        script = "trap 'echo cleaning up; exit 5' TERM; echo began; while :; do sleep 0.05; done"
        async with open_command(desktop, script) as run:
            await anext(run)
            run.cancel()
            chunks, end = await read(run)
    assert joined(chunks) == b"cleaning up\n"
    assert (end.reason, end.exit_code) == ("cancelled", 5)


async def test_cancel_works_while_nobody_reads_a_flood():
    async with open_desktop(an_account_that_takes_signals()) as desktop, open_command(desktop, "yes") as run:
        with anyio.fail_after(10):
            while not run.statistics()["is_paused"]:
                await anyio.sleep(0.01)
        run.cancel()
        chunks, end = await read(run)
    assert (end.reason, end.maybe_running) == ("cancelled", False)
    assert set(joined(chunks)) == set(b"y\n")


async def test_where_the_host_refuses_signals_the_end_says_that_the_command_may_still_be_running():
    if os.getuid() != 0:
        pytest.skip("OpenSSH refuses signals only for root")
    async with open_desktop("root") as desktop:
        async with open_command(desktop, "echo $$; exec sleep 63", limits=BRISK) as run:
            _, pid = await anext(run)
            run.cancel()
            _, end = await read(run)
        assert (end.reason, end.exit_code, end.signal) == ("cancelled", None, None)
        assert end.maybe_running
        assert (await result_of(desktop, f"kill {int(pid)} && echo it was"))[0] == b"it was\n"


async def test_a_child_left_behind_does_not_keep_the_run_open():
    async with open_desktop() as desktop:
        async with open_command(desktop, "sleep 64 & echo $!", limits=BRISK) as run:
            chunks, end = await read(run)
        assert (end.exit_code, end.output_cut, end.is_success) == (0, True, True)
        assert (await result_of(desktop, f"kill {int(joined(chunks))}"))[2].is_success


async def test_a_child_left_behind_that_writes_on_and_on_is_listened_to_for_a_bounded_time():
    async with open_desktop() as desktop:
        script = "(while echo more; do sleep 0.1; done) & echo done"
        async with open_command(desktop, script, limits=BRISK) as run:
            chunks, end = await read(run)
    assert (end.exit_code, end.output_cut) == (0, True)
    assert joined(chunks).count(b"more") > 3


async def test_output_that_comes_a_little_after_the_exit_is_still_collected():
    async with open_desktop() as desktop:
        stdout, _, end = await result_of(desktop, "(sleep 0.5; echo late) & exit 4")
    assert (stdout, end.exit_code, end.output_cut) == (b"late\n", 4, False)


async def test_cancel_after_the_exit_keeps_the_exit_code():
    async with open_desktop() as desktop, open_command(desktop, "sleep 3 & echo $$; exit 6") as run:
        await anext(run)
        with anyio.fail_after(2):
            while run._exited_s is None:
                await anyio.sleep(0.01)
        run.cancel()
        _, end = await read(run)
    assert (end.reason, end.exit_code, end.maybe_running) == ("cancelled", 6, False)


@pytest.mark.parametrize("fault", ["reset", "killed session", "black hole"])
async def test_a_lost_connection_ends_the_run_and_keeps_what_had_arrived(fault: str):
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy:
        async with open_connection(host.target(port=proxy.port), limits=QUICK) as connection:
            async with open_command(connection, "echo before; sleep 30") as run:
                chunks = [await anext(run)]
                match fault:
                    case "reset":
                        proxy.reset()
                    case "killed session":
                        host.kill_sessions()
                    case _:
                        proxy.black_hole()
                with anyio.fail_after(10):
                    rest, end = await read(run)
    assert joined(chunks + rest) == b"before\n"
    assert (end.reason, end.maybe_running) == ("connection_lost", True)


async def test_a_slow_link_and_one_that_stands_still_for_a_while_lose_nothing():
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy:
        async with open_connection(host.target(port=proxy.port)) as connection:
            async with open_command(connection, "seq 1 20000") as run:
                chunks = [await anext(run)]
                proxy.slow(500_000)
                chunks.append(await anext(run))
                proxy.stall()
                with anyio.move_on_after(0.3):
                    async for chunk in run:
                        chunks.append(chunk)  # noqa: PERF401 - a comprehension would be lost when it is cancelled
                proxy.heal()
                rest, end = await read(run)
    assert joined(chunks + rest) == b"".join(b"%d\n" % number for number in range(1, 20001))
    assert end.is_success


async def test_closing_the_connection_ends_its_runs():
    async with open_sshd() as host:
        async with open_connection(host.target()) as connection:
            async with open_command(connection, "sleep 30") as run:
                connection.ssh.close()
                _, end = await read(run)
    assert end.reason in ("connection_lost", "no_exit")
    assert end.maybe_running


async def test_leaving_by_cancellation_closes_the_channel():
    async with open_desktop(options=("MaxSessions 1",)) as desktop:
        with anyio.move_on_after(0.5):
            async with open_command(desktop, "echo x; sleep 1; echo y; sleep 1; echo z") as run:
                async for _ in run:
                    pass
        with anyio.fail_after(10):  # the only session is free again
            while True:
                try:
                    assert (await result_of(desktop, "echo free"))[0] == b"free\n"
                    return
                except CommandRefused:
                    await anyio.sleep(0.05)


async def test_cancelling_at_any_moment_of_the_start_leaves_no_channel_behind():
    async with open_desktop(options=("MaxSessions 2",)) as desktop:
        for moment in range(12):
            with anyio.move_on_after(0.002 * moment), suppress(CommandRefused):
                async with open_command(desktop, "true") as run:
                    await read(run)
        with anyio.fail_after(10):
            while True:
                try:
                    assert (await result_of(desktop, "echo free"))[0] == b"free\n"
                    return
                except CommandRefused:
                    await anyio.sleep(0.05)


async def test_a_host_that_opens_no_further_session_says_which_setting_it_is():
    async with open_desktop(options=("MaxSessions 1",)) as desktop, open_command(desktop, "sleep 5"):
        with pytest.raises(CommandRefused) as caught:
            async with open_command(desktop, "true"):
                pass
    assert caught.value.code == "channel_refused"
    assert "MaxSessions" in caught.value.message


async def test_a_host_that_gives_no_terminal_says_so():
    async with open_desktop(options=("PermitTTY no",)) as desktop:
        with pytest.raises(CommandRefused, match="tty_refused"):
            async with open_command(desktop, "true", tty=True):
                pass
        assert (await result_of(desktop, "echo works"))[0] == b"works\n"


async def test_many_commands_share_one_connection():
    async with open_desktop(options=("MaxSessions 100",)) as desktop:
        results: dict[int, bytes] = {}

        async def one(number: int) -> None:
            results[number] = (await result_of(desktop, f"echo {number}"))[0]

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(one, number)
    assert results == {number: b"%d\n" % number for number in range(20)}


def an_account_that_takes_signals() -> str:
    account = regular_account()
    if account is None:
        pytest.skip("needs an account that is not root: OpenSSH refuses signals for root")
    return account
