"""A desktop's link: what people are told and when, and that it comes back by itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mission_control.runs.connection import ConnectionLimits, FailureCode, KeyAuth, SshFailure, SshTarget
from mission_control.runs.link import (
    POLICY,
    Failed,
    Hurried,
    Input,
    Link,
    LinkPolicy,
    LinkStatus,
    Opened,
    TimePassed,
    Trying,
    gives_up_ms,
    open_link,
    step,
)
from tests.support.proxy import open_proxy
from tests.support.sshd import key, open_sshd, private_text

NEW = LinkStatus(since_ms=0)
LOST = SshFailure("connection_lost", "The link was cut.")
REFUSED = SshFailure("connection_refused", "Nothing listens.")
WRONG_KEY = SshFailure("auth_failed", "The key was refused.")
QUICK = ConnectionLimits(connect_s_max=5, keepalive_s=0.1, keepalive_count_max=2)
HASTY = LinkPolicy(patience_ms=300, permanent_retry_ms=200, stable_ms=1)


def after(*inputs: Input, status: LinkStatus = NEW) -> LinkStatus:
    for given_ in inputs:
        status = step(status, given_)
    return status


def test_a_desktop_that_answers_is_up():
    status = after(Trying(), Opened(40))
    assert (status.phase, status.wire, status.since_ms, status.failure) == ("up", "up", 40, None)


def test_a_lost_link_is_reconnecting_and_is_tried_again_soon():
    status = after(Opened(0), Failed(5_000, LOST, jitter=1))
    assert (status.phase, status.since_ms, status.next_try_ms) == ("reconnecting", 5_000, 5_500)
    assert status.failure is LOST


def test_after_30_s_without_success_the_desktop_is_unreachable():
    status = after(Opened(0), Failed(5_000, LOST, 0), Failed(20_000, REFUSED, 0), TimePassed(34_999))
    assert status.phase == "reconnecting"
    assert gives_up_ms(status) == 35_000
    status = after(TimePassed(35_000), status=status)
    assert (status.phase, status.wire, status.failure) == ("down", "down", REFUSED)
    assert status.next_try_ms is not None
    assert gives_up_ms(status) is None


def test_a_desktop_that_never_answered_gets_the_same_patience():
    assert after(Failed(100, REFUSED, 0)).phase == "connecting"
    assert after(Failed(100, REFUSED, 0)).wire == "reconnecting"
    assert after(Failed(100, REFUSED, 0), Failed(30_000, REFUSED, 0)).phase == "down"


def test_what_only_a_person_can_mend_is_said_at_once_and_tried_rarely():
    status = after(Opened(0), Failed(5_000, WRONG_KEY, 0.5))
    assert (status.phase, status.next_try_ms) == ("down", 5_000 + POLICY.permanent_retry_ms)


def test_a_desktop_that_is_down_comes_up_again():
    status = after(Failed(0, WRONG_KEY, 0), Failed(60_000, REFUSED, 0), Opened(70_000))
    assert (status.phase, status.failure) == ("up", None)


def test_a_link_that_flaps_is_tried_less_and_less():
    status, at_ms, waits = NEW, 0, list[int]()
    for _ in range(5):
        status = after(Opened(at_ms), Failed(at_ms + 10, LOST, 0), status=status)
        assert status.next_try_ms is not None
        waits.append(status.next_try_ms - at_ms)
        at_ms = status.next_try_ms
    assert waits == [1010, 2010, 4010, 8010, 16010]
    status = after(Opened(at_ms), Failed(at_ms + POLICY.stable_ms, LOST, 0), status=status)
    assert status.failures == 1


def test_hurry_tries_at_once_but_not_what_is_up_or_being_tried():
    waiting = after(Failed(1_000, REFUSED, 0))
    assert step(waiting, Hurried(1_200)).next_try_ms == 1_200
    for status in (after(Opened(0)), after(Failed(0, REFUSED, 0), Trying())):
        assert step(status, Hurried(1_200)) == status


FAILURES = st.sampled_from([LOST, REFUSED, WRONG_KEY])
INPUTS = st.lists(
    st.one_of(
        st.tuples(st.just("opened"), st.integers(0, 40_000), FAILURES),
        st.tuples(st.just("failed"), st.integers(0, 40_000), FAILURES),
        st.tuples(st.just("time"), st.integers(0, 40_000), FAILURES),
        st.tuples(st.just("hurry"), st.integers(0, 40_000), FAILURES),
    )
)


@given(INPUTS, st.floats(0, 1))
def test_whatever_happens_the_status_is_one_that_can_be(happenings: list[tuple[str, int, SshFailure]], jitter: float):
    status, now_ms = NEW, 0
    for kind, pause_ms, failure in happenings:
        now_ms += pause_ms
        given_: Input = {
            "opened": Opened(now_ms),
            "failed": Failed(now_ms, failure, jitter),
            "time": TimePassed(now_ms),
            "hurry": Hurried(now_ms),
        }[kind]
        status = step(status, given_)
        assert status.since_ms <= now_ms
        assert (status.phase == "up") <= (status.failure is None and status.next_try_ms is None)
        if kind == "failed":
            assert status.next_try_ms is not None
            assert status.next_try_ms > now_ms
        if kind in ("failed", "time"):
            end_ms = gives_up_ms(status)
            assert end_ms is None or end_ms > now_ms, "patience that is over must have an effect"


@asynccontextmanager
async def watched_link(target: SshTarget, policy: LinkPolicy = POLICY) -> AsyncGenerator[tuple[Link, list[LinkStatus]]]:
    seen: list[LinkStatus] = []
    async with open_link(target, seen.append, limits=QUICK, policy=policy) as link:
        yield link, seen


async def until(link: Link, phase: str) -> LinkStatus:
    with anyio.fail_after(15):
        while link.status.phase != phase:
            await anyio.sleep(0.005)
    return link.status


def phases(seen: list[LinkStatus]) -> list[str]:
    return [status.phase for i, status in enumerate(seen) if i == 0 or seen[i - 1].phase != status.phase]


async def test_a_link_that_is_cut_comes_back_by_itself_and_everybody_hears_of_it():
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy:
        async with watched_link(host.target(port=proxy.port)) as (link, seen):
            first = await link.connection()
            proxy.reset()
            await first.wait_lost()
            second = await link.connection()
            assert second is not first
            assert str((await second.ssh.run("echo back")).stdout) == "back\n"
            assert phases(seen) == ["up", "reconnecting", "up"]
            assert seen[-1].failure is None


async def test_a_black_holed_link_is_noticed_and_comes_back_when_the_network_does():
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy:
        async with watched_link(host.target(port=proxy.port)) as (link, seen):
            await link.connection()
            proxy.black_hole()
            assert (await until(link, "reconnecting")).failure
            proxy.heal()
            await until(link, "up")
            assert phases(seen) == ["up", "reconnecting", "up"]


async def test_while_it_reconnects_a_caller_waits_and_gets_the_new_connection():
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy:
        async with watched_link(host.target(port=proxy.port)) as (link, _):
            await link.connection()
            proxy.refuse()
            proxy.reset()
            await until(link, "reconnecting")
            async with anyio.create_task_group() as group:
                group.start_soon(link.connection)
                proxy.heal()
                link.hurry()
            assert link.status.phase == "up"


async def test_when_patience_is_over_a_caller_reads_why():
    async with open_proxy("127.0.0.1", 1) as proxy:  # nothing listens behind it
        target = SshTarget(host="127.0.0.1", port=proxy.port, auth=KeyAuth(private_text(key("ssh-ed25519"))))
        target = replace(target, host_key=key("ssh-ed25519").export_public_key().decode())
        async with watched_link(target, HASTY) as (link, seen):
            with pytest.raises(SshFailure) as caught:
                await link.connection()
            assert caught.value.code == "connection_lost"
            assert phases(seen) == ["connecting", "down"]


@pytest.mark.parametrize("code", ["auth_failed", "host_key_changed", "key_invalid"])
async def test_a_failure_for_a_person_is_told_at_once_and_tried_rarely(code: FailureCode):
    async with open_sshd() as host:
        target = {
            "auth_failed": host.target(auth=KeyAuth(private_text(key("ssh-ed25519", "stranger")))),
            "host_key_changed": replace(
                host.target(), host_key=key("ssh-ed25519", "other").export_public_key().decode()
            ),
            "key_invalid": host.target(auth=KeyAuth("not a key")),
        }[code]
        async with watched_link(target) as (link, _):
            with pytest.raises(SshFailure) as caught:
                await link.connection()
            assert caught.value.code == code
            assert link.statistics()["attempt_count"] == 1
            link.hurry()  # somebody has repaired it, or thinks so
            with anyio.fail_after(10):
                while link.statistics()["attempt_count"] < 2:
                    await anyio.sleep(0.005)


async def test_a_desktop_that_was_repaired_comes_up_without_being_told():
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy:
        proxy.refuse()
        async with watched_link(host.target(port=proxy.port), HASTY) as (link, seen):
            await until(link, "down")
            proxy.heal()
            await until(link, "up")
            assert phases(seen)[-2:] == ["down", "up"]


async def test_restart_drops_the_connection_and_opens_another():
    async with open_sshd() as host, watched_link(host.target()) as (link, _):
        first = await link.connection()
        link.drop()
        await first.wait_lost()
        assert await link.connection() is not first


async def test_leaving_the_block_closes_the_connection():
    async with open_sshd() as host:
        async with watched_link(host.target()) as (link, _):
            connection = await link.connection()
        assert not connection.is_open


async def test_the_next_status_is_told_before_anybody_waits_again():
    """The callback sees each status once, in order, and the last one is the link's own."""
    async with open_sshd() as host, watched_link(host.target()) as (link, seen):
        await link.connection()
        assert seen[-1] == link.status
