"""Somebody in between, and hosts that prove themselves in an old way: the handshake ends before anything is sent."""

from __future__ import annotations

import os
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.abc
import pytest

from mission_control.runs.connection import SshFailure, SshTarget, offered_host_keys, open_connection
from tests.support.sshd import SshHost, key, open_sshd

# SSH_MSG_IGNORE without contents, as a packet before there is encryption (RFC 4253, 6): length, padding, payload.
_PADDING = 6
IGNORED = struct.pack(">IBB", 1 + 5 + _PADDING, _PADDING, 2) + bytes(4) + os.urandom(_PADDING)


def ends_of_packets(data: bytes) -> list[int]:
    """Where the version line and the unencrypted packets behind it end, as far as they have come."""
    at = data.find(b"\n") + 1
    ends = [at] if at else []
    while at and len(data) >= at + 4:
        at += 4 + int.from_bytes(data[at : at + 4], "big")
        if at > len(data):
            break
        ends.append(at)
    return ends


@asynccontextmanager
async def in_between(host: SshHost, *, after: int) -> AsyncGenerator[int]:
    """A port that leads to a host; what the host says gets one packet more, behind so many of its own."""

    async def serve(client: anyio.abc.SocketStream) -> None:
        async with (
            client,
            await anyio.connect_tcp("127.0.0.1", host.port) as server,
            anyio.create_task_group() as group,
        ):

            async def up() -> None:
                with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    async for data in client:
                        await server.send(data)
                group.cancel_scope.cancel()

            group.start_soon(up)
            said = b""  # of the host so far
            sent = 0
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                async for data in server:
                    before, said = len(ends_of_packets(said)), said + data
                    ends = ends_of_packets(said)
                    if before <= after < len(ends):
                        await client.send(said[sent : ends[after]] + IGNORED)
                        sent = ends[after]
                    await client.send(said[sent:])
                    sent = len(said)
            group.cancel_scope.cancel()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)
        group.cancel_scope.cancel()


async def failure_of(target: SshTarget) -> SshFailure:
    with pytest.raises(SshFailure) as caught:
        async with open_connection(target):
            pass
    return caught.value


@pytest.mark.parametrize("after", [0, 1, 2], ids=["the first packet", "behind the first", "behind the second"])
async def test_a_packet_that_is_slipped_into_the_handshake_ends_it(after: int):
    """As Terrapin does (CVE-2023-48795), to take as many packets away later: strict key exchange refuses it."""
    async with open_sshd() as host, in_between(host, after=after) as port:
        failure = await failure_of(host.target(port=port))
        assert failure.code == "ssh_protocol_error" and "Strict key exchange" in failure.message
        assert "userauth" not in host.log and "Accepted" not in host.log
    async with (
        open_sshd() as host,
        in_between(host, after=1000) as port,
        open_connection(host.target(port=port)) as ssh,
    ):
        assert ssh.is_open, "as it is when nothing is slipped in"


async def test_a_host_that_signs_with_sha_1_only_is_not_believed():
    rsa = {"rsa": key("ssh-rsa")}
    async with open_sshd(host_keys=rsa, options=("HostKeyAlgorithms ssh-rsa",)) as host:
        failure = await failure_of(host.target(host_key="rsa"))
        assert failure.code in ("ssh_protocol_error", "connection_lost", "host_key_changed"), failure
        assert "userauth" not in host.log and "Accepted" not in host.log
        with pytest.raises(SshFailure):
            await offered_host_keys(host.target(host_key=None))
    async with open_sshd(host_keys=rsa) as host, open_connection(host.target(host_key="rsa")) as ssh:
        assert ssh.is_open, "the same key, with SHA-2"
