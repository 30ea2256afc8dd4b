"""Who comes in, over real connections: TLS and its renewal, peers that send slowly or take nothing, revoked keys."""

from __future__ import annotations

import json
import socket
import ssl
import warnings
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
import websockets.asyncio.client as ws
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.server.test_process import typed
from tests.support.server_process import ServerProcess, open_server
from tests.support.waiting import until

WS = "/api/mission-control/activity/ws"
SSE = "/api/mission-control/activity/stream"


def write_certificate(cert: Path, key: Path, number: int) -> None:
    """A new self-signed pair for loopback, with a serial number to know it by; put in place as renewal programs do."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(number)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    for path, data in (
        (cert, made.public_bytes(pem)),
        (key, private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)),
    ):
        new = path.with_suffix(".new")
        new.write_bytes(data)
        new.rename(path)


def shown_certificate(address: tuple[str, int]) -> int:
    """The serial number of the certificate that a new connection is shown."""
    pem = ssl.get_server_certificate(address, timeout=10)
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def address_of(server: ServerProcess) -> tuple[str, int]:
    return "127.0.0.1", int(server.url.rpartition(":")[2])


@contextmanager
def connection(server: ServerProcess, receive_buffer: int | None = None) -> Generator[socket.socket]:
    """A bare connection; with a small buffer, one whose peer soon notices that nothing is taken."""
    with socket.socket() as peer:
        if receive_buffer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        peer.settimeout(30)
        peer.connect(address_of(server))
        yield peer


def read_to_end(peer: socket.socket) -> bytes:
    """What comes until the server has closed or cut the connection."""
    said = b""
    try:
        while data := peer.recv(65536):
            said += data
    except ConnectionResetError:
        pass
    return said


async def in_thread(function: Any, *arguments: Any) -> Any:
    return await anyio.to_thread.run_sync(function, *arguments)


async def test_a_renewed_certificate_is_used_without_dropping_a_connection(tmp_path: Path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_certificate(cert, key, 1)
    flags = ("--tls-cert", str(cert), "--tls-key", str(key))
    async with open_server(tmp_path / "data", *flags, demo=False) as server:
        assert server.url.startswith("https://")
        context = ssl.create_default_context(cafile=str(cert))
        context.check_hostname = False
        url = server.url.replace("https", "wss") + WS
        headers = {"x-api-key": server.http.headers["x-api-key"]}
        async with ws.connect(url, ssl=context, additional_headers=headers) as follower:
            assert json.loads(await follower.recv())["op"] == "hello"
            cert.write_text("half a certificate")
            await until(lambda: "is not used" in (tmp_path / "data.stderr").read_text(), "the server to look at it")
            assert await in_thread(shown_certificate, address_of(server)) == 1
            write_certificate(cert, key, 2)

            async def is_renewed() -> bool:
                return await in_thread(shown_certificate, address_of(server)) == 2

            await until(is_renewed, "the new certificate")
            await follower.send(json.dumps({"op": "subscribe", "id": "all", "after": 0}))
            while json.loads(await follower.recv())["op"] != "live":
                pass
        renewed = ssl.create_default_context(cafile=str(cert))
        renewed.check_hostname = False
        async with httpx2.AsyncClient(base_url=server.url, verify=renewed, headers=headers) as client:
            answer = await client.get("/api/auth/me")
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
            signed_in = await client.post("/api/auth/session", json={"key": headers["x-api-key"]})
            assert signed_in.headers["set-cookie"].startswith("__Host-mission_control_")


async def test_a_certificate_that_does_not_fit_its_key_is_said_at_the_start(tmp_path: Path):
    cert, key, other = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "other.pem"
    write_certificate(cert, other, 1)
    write_certificate(tmp_path / "unused.pem", key, 2)
    with pytest.raises(AssertionError, match="did not start"):
        async with open_server(tmp_path / "data", "--tls-cert", str(cert), "--tls-key", str(key), demo=False):
            pass
    said = (tmp_path / "data.stderr").read_text()
    assert str(cert) in said and "cannot be used" in said and "Traceback" not in said


async def test_only_current_tls_is_spoken(tmp_path: Path):
    """ASVS 5.0: 12.1.1 (only TLS 1.2 and 1.3, and that before)."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_certificate(cert, key, 1)
    flags = ("--tls-cert", str(cert), "--tls-key", str(key))
    async with open_server(tmp_path / "data", *flags, demo=False) as server:

        def version(newest: ssl.TLSVersion) -> str | None:
            context = ssl.create_default_context(cafile=str(cert))
            if newest < ssl.TLSVersion.TLSv1_3:
                context.set_ciphers("ALL:@SECLEVEL=0")  # else this end would refuse older ones by itself
                context.minimum_version = newest
            context.maximum_version = newest
            with connection(server) as peer, context.wrap_socket(peer, server_hostname="localhost") as spoken:
                return spoken.version()

        assert await in_thread(version, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        assert await in_thread(version, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            with pytest.raises(ssl.SSLError):
                await in_thread(version, ssl.TLSVersion.TLSv1_1)


@asynccontextmanager
async def with_viewer(server: ServerProcess) -> AsyncGenerator[tuple[str, str]]:
    """The id and the text of a key of its own."""
    made = (await server.http.post("/api/auth/api-keys", json={"name": "watcher", "role": "viewer"})).json()
    yield made["id"], made["key"]


async def flood(server: ServerProcess) -> None:
    """Output that no socket's buffers hold, recorded."""
    task = await server.run("head -c 30000000 /dev/zero | tr '\\0' x | fold -w 99")
    assert (await server.ended(task["id"]))["status"] == "done"


def upgrade_request(key: str) -> bytes:
    return (
        f"GET {WS} HTTP/1.1\r\nHost: localhost\r\nx-api-key: {key}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


def masked_frame(text: str) -> bytes:
    """A client's text message of less than 126 bytes (RFC 6455, 5.2), with a mask of zeros."""
    data = text.encode()
    assert len(data) < 126
    return bytes((0x81, 0x80 | len(data), 0, 0, 0, 0)) + data


def established(server: ServerProcess) -> set[int]:
    """The remote ports of connections that the server has not let go of, as the kernel knows them."""
    port, found = address_of(server)[1], set[int]()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        if int(local.rpartition(":")[2], 16) == port and state in ("01", "04", "05", "08", "09", "0B"):
            found.add(int(remote.rpartition(":")[2], 16))
    return found


async def test_revoking_a_key_cuts_its_streams_whatever_their_readers_do(tmp_path: Path):
    """ASVS 5.0: 8.3.2 (changes of rights are applied immediately). One reads, one is silent, two take nothing."""
    async with open_server(tmp_path / "data") as server:
        await flood(server)
        async with with_viewer(server) as (id, key):
            url = server.url.replace("http", "ws") + WS
            with connection(server, 4096) as stalled, connection(server, 4096) as stream, connection(server) as silent:
                stalled.sendall(upgrade_request(key) + masked_frame('{"op":"subscribe","id":"all","after":0}'))
                stream.sendall(f"GET {SSE}?after=0 HTTP/1.1\r\nHost: localhost\r\nx-api-key: {key}\r\n\r\n".encode())
                silent.sendall(upgrade_request(key))
                for peer in (stalled, stream, silent):
                    assert await in_thread(peer.recv, 10)
                ports = {peer.getsockname()[1] for peer in (stalled, stream, silent)}
                async with ws.connect(url, additional_headers={"x-api-key": key}) as reader:
                    assert json.loads(await reader.recv())["op"] == "hello"
                    await until(lambda: ports <= established(server), "all to be connected")
                    with anyio.fail_after(5):  # it is less than one second; machines that tests share are slow
                        await server.http.delete(f"/api/auth/api-keys/{id}")
                        await reader.wait_closed()
                        assert reader.close_code == 4401
                        await until(lambda: not ports & established(server), "the others to be cut")
        assert (await server.http.get("/readyz")).status_code == 200
        assert "Traceback" not in (tmp_path / "data.stderr").read_text()


@pytest.mark.parametrize("pieces", [[b"\xff\xfe"], [b'{"op": "\xc3', b'("}']], ids=["one frame", "two frames"])
async def test_text_that_is_not_utf_8_ends_the_socket_as_the_protocol_says_and_is_no_fault_of_ours(
    tmp_path: Path, pieces: list[bytes]
):
    async with open_server(tmp_path / "data", demo=False) as server:
        headers = {"x-api-key": server.http.headers["x-api-key"]}
        async with ws.connect(server.url.replace("http", "ws") + WS, additional_headers=headers) as reader:
            assert json.loads(await reader.recv())["op"] == "hello"
            await reader.send(pieces, text=True)
            with anyio.fail_after(20):
                await reader.wait_closed()
            assert reader.close_code == 1007
        async with ws.connect(server.url.replace("http", "ws") + WS, additional_headers=headers) as reader:
            assert json.loads(await reader.recv())["op"] == "hello", "others are served"
            await reader.send(["{", '"op": "ä"', "}"])
            assert json.loads(await reader.recv())["code"] == "bad_message"
    assert (tmp_path / "data.stderr").read_text() == ""


async def test_a_key_that_expires_ends_its_streams(tmp_path: Path):
    async with open_server(tmp_path / "data", demo=False) as server:
        end = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
        made = (await server.http.post("/api/auth/api-keys", json={"name": "short", "expiresAt": end})).json()
        url = server.url.replace("http", "ws") + WS
        async with ws.connect(url, additional_headers={"x-api-key": made["key"]}) as reader:
            with anyio.fail_after(20):
                await reader.wait_closed()
            assert reader.close_code == 4401


async def test_whoever_sends_a_request_byte_by_byte_is_cut_and_others_are_served(tmp_path: Path):
    async with open_server(tmp_path / "data", demo=False) as server:
        key = server.http.headers["x-api-key"]
        head = f"POST /api/mission-control/tasks HTTP/1.1\r\nHost: localhost\r\nx-api-key: {key}\r\n"
        body = head + "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"

        async def drip(begun: str) -> bytes:
            """Send something, and a byte each half second, until the other side has enough."""
            stream = await anyio.connect_tcp(*address_of(server))
            said = b""
            async with stream, anyio.create_task_group() as group:

                async def drop() -> None:
                    try:
                        while True:
                            await anyio.sleep(0.5)
                            await stream.send(b"a")
                    except anyio.BrokenResourceError:
                        pass

                await stream.send(begun.encode())
                group.start_soon(drop)
                try:
                    while True:
                        said += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    group.cancel_scope.cancel()
            return said

        answers: dict[str, bytes] = {}

        async def ask(name: str, begun: str) -> None:
            answers[name] = await drip(begun)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(ask, "half an address", "GET /")
                group.start_soon(ask, "half a head", head + "X: ")
                group.start_soon(ask, "half a body", body)
                group.start_soon(ask, "a body nobody wants", body.replace("x-api-key", "x-nothing"))
                assert (await server.http.get("/api/auth/me")).status_code == 200
        assert answers["half an address"] == answers["half a head"] == b""
        assert b" 408 " in answers["half a body"] and b"request_timeout" in answers["half a body"]
        assert b" 401 " in answers["a body nobody wants"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000, b"431"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 20_000, b"431"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", b"431"),
        (b"\x16\x03\x01 not HTTP\r\n\r\n", b"400"),
    ],
    ids=["address", "one field", "many fields", "a whole field", "nonsense"],
)
async def test_what_is_too_large_or_no_request_is_refused_before_it_is_read(
    request_: bytes, status: bytes, tmp_path: Path
):
    async with open_server(tmp_path / "data", demo=False) as server:

        def ask() -> bytes:
            with connection(server) as peer:
                try:
                    peer.sendall(request_)
                except (ConnectionResetError, BrokenPipeError):
                    pass
                return read_to_end(peer)

        assert (await in_thread(ask)).startswith(b"HTTP/1.1 " + status)
        assert (await server.http.get("/readyz")).status_code == 200


async def test_where_a_request_comes_from_is_taken_from_trusted_proxies_only(tmp_path: Path):
    fields = {"x-forwarded-for": "203.0.113.9, 198.51.100.7", "x-forwarded-proto": "https"}

    async def address(server: ServerProcess) -> str:
        await server.http.post("/api/auth/session", json={"key": server.http.headers["x-api-key"]}, headers=fields)
        return (await server.http.get("/api/auth/sessions")).json()[0]["address"]

    async with open_server(tmp_path / "plain", demo=False) as server:
        assert await address(server) == "127.0.0.1"
    async with open_server(tmp_path / "behind", "--trusted-proxy", "127.0.0.0/8", demo=False) as server:
        assert await address(server) == "198.51.100.7"
        answer = await server.http.get("/healthz", headers=fields)
        assert "strict-transport-security" in answer.headers


async def test_the_head_of_the_log_is_noted_outside_and_shows_that_history_was_written_anew(tmp_path: Path):
    data, heads = tmp_path / "data", tmp_path / "heads"
    async with open_server(data, "--head-file", str(heads), "--head-every", "1", demo=False) as server:
        await server.http.patch("/api/mission-control/settings", json={"taskApprovalMode": True})
        shown = (await server.http.get("/api/mission-control/log/head")).json()

        def is_noted() -> bool:
            return heads.exists() and any(json.loads(line) == shown for line in heads.read_text().splitlines())

        await until(is_noted, "the head to be noted")
    assert heads.stat().st_mode & 0o077 == 0
    assert len({json.loads(line)["seq"] for line in heads.read_text().splitlines()}) == len(
        heads.read_text().splitlines()
    )
    assert typed("log", "verify", "--data-dir", str(data), "--head", str(heads)).returncode == 0
    printed = typed("log", "head", "--data-dir", str(data))
    assert json.loads(printed.stdout) == shown
    rewritten = tmp_path / "rewritten"
    async with open_server(rewritten, demo=False) as server:
        for mode in (True, False, True, False):
            await server.http.patch("/api/mission-control/settings", json={"taskApprovalMode": mode})
    assert typed("log", "verify", "--data-dir", str(rewritten)).returncode == 0, "it is sound in itself"
    found = typed("log", "verify", "--data-dir", str(rewritten), "--head", str(heads))
    assert found.returncode == 1 and "is not what it was" in found.stdout
    heads.write_text(json.dumps(shown | {"seq": 1000}) + "\n")
    cut = typed("log", "verify", "--data-dir", str(data), "--head", str(heads))
    assert cut.returncode == 1 and "event 1000 was noted" in cut.stdout
    heads.write_text("nonsense\n")
    assert typed("log", "verify", "--data-dir", str(data), "--head", str(heads)).returncode == 2
