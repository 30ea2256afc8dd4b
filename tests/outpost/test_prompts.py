"""Prompts: the outpost makes the request on the desktop, over real TCP and real TLS, and says how it went."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSListener
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mission_control.runs.frames import Kind
from tests.outpost.driver import Attached, Received, open_desktop, task_id
from tests.support.chat_endpoint import ChatEndpoint, Exchange, answer, open_chat_endpoint, replies
from tests.support.processes import is_alive

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """A certificate authority of the test's own, and what it signs."""

    def __init__(self, folder: Path, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(self._name, self._key, is_authority=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self._folder = folder

    def context(self, host: str) -> ssl.SSLContext:
        """What a server of this host needs."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")]), key, host)
        pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self._folder / "server.pem").write_bytes(pem)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._folder / "server.pem")
        return context

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, host: str = "", *, is_authority: bool = False
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + DAY)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            # What Python 3.13 and newer insist on.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if is_authority:
            builder = builder.add_extension(KEY_USAGE, critical=True)
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


@asynccontextmanager
async def open_tls_endpoint(context: ssl.SSLContext, *scripts: Any) -> AsyncGenerator[ChatEndpoint]:
    """The chat endpoint of the other tests, behind TLS."""
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        port: int = listener.extra(SocketAttribute.local_port)
        endpoint = ChatEndpoint(port, scripts)
        endpoint.url = f"https://localhost:{port}/v1"
        serve: Any = endpoint.serve  # a TLS stream will do
        group.start_soon(TLSListener(listener, context, standard_compatible=False).serve, serve)
        yield endpoint
        group.cancel_scope.cancel()


async def whole(exchange: Exchange) -> None:
    """An answer that ends by itself: TLS has no half-closed connections."""
    await exchange.head()
    await exchange.send(answer("Hi there"))
    await exchange.raw(b"0\r\n\r\n")


async def ask(outpost: Attached, url: str, name: str = "one", **facts: Any) -> Received:
    """Start a prompt without waiting for it."""
    request = {"method": "POST", "url": url + "/chat/completions", "body": '{"a": "ü"}', "connect": 10, "idle": 1000}
    request["headers"] = {"Authorization": "Bearer secret", "Accept-Encoding": "identity"}
    await outpost.send(Kind.START, name, task=task_id(name), request=request | facts)
    return outpost.run(name)


def error_of(run: Received) -> str | None:
    return (run.ended["error"] or {}).get("error")


async def test_https_is_checked_against_the_given_authority(tmp_path: Path):
    authority = Authority(tmp_path, "ours")
    async with (
        open_tls_endpoint(authority.context("localhost"), whole) as endpoint,
        open_desktop(tmp_path) as desktop,
        desktop.attached() as outpost,
    ):
        await ask(outpost, endpoint.url, ca=str(authority.file))
        run = await outpost.ended("one")
        assert (error_of(run), bytes(run.streams[3])) == (None, answer("Hi there"))
        assert run.heads == [{"status": 200, "contentType": "text/event-stream", "retryAfter": None}]
        (request,) = endpoint.requests
        assert request.json == {"a": "ü"}
        assert (request.headers["authorization"], request.headers["accept-encoding"]) == ("Bearer secret", "identity")


@pytest.mark.parametrize("case", ["another authority", "the system's store", "another host", "no authority file"])
async def test_https_that_cannot_be_trusted_gets_nothing(tmp_path: Path, case: str):
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    ca = {"another authority": str(other.file), "another host": str(ours.file), "no authority file": "/nowhere"}
    context = ours.context("another.example" if case == "another host" else "localhost")
    async with (
        open_tls_endpoint(context, whole) as endpoint,
        open_desktop(tmp_path) as desktop,
        desktop.attached() as outpost,
    ):
        await ask(outpost, endpoint.url, ca=ca.get(case))
        run = await outpost.ended("one")
        assert (error_of(run), run.heads, endpoint.requests) == ("tls", [], [])
        assert ("/nowhere" if case == "no authority file" else "") in run.ended["error"]["detail"]


async def test_an_https_address_that_speaks_no_tls_is_a_tls_error(tmp_path: Path):
    async def plain(stream: SocketStream) -> None:
        async with stream:
            await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await stream.receive()

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
        open_desktop(tmp_path) as desktop,
        desktop.attached() as outpost,
    ):
        group.start_soon(listener.serve, plain)
        await ask(outpost, f"https://127.0.0.1:{listener.extra(SocketAttribute.local_port)}")
        assert error_of(await outpost.ended("one")) == "tls"
        group.cancel_scope.cancel()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(tmp_path: Path, status: int):
    async with open_chat_endpoint(replies(answer("not for you"))) as elsewhere:
        script = replies(b"moved", status=status, headers={"location": elsewhere.url})
        async with (
            open_chat_endpoint(script) as endpoint,
            open_desktop(tmp_path) as desktop,
            desktop.attached() as outpost,
        ):
            await ask(outpost, endpoint.url)
            run = await outpost.ended("one")
            assert (run.heads[0]["status"], bytes(run.streams[3])) == (status, b"moved")
            assert elsewhere.requests == []


async def test_proxies_of_the_environment_are_ignored(tmp_path: Path):
    async with (
        open_chat_endpoint(replies(b"from the proxy")) as proxy,
        open_chat_endpoint(replies(b"from the agent")) as endpoint,
        open_desktop(tmp_path) as desktop,
    ):
        address = proxy.url.removesuffix("/v1")
        names = ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY")
        async with desktop.attached(environment=dict.fromkeys(names, address)) as outpost:
            await ask(outpost, endpoint.url)
            assert bytes((await outpost.ended("one")).streams[3]) == b"from the agent"
            assert proxy.requests == []


async def test_a_compressed_answer_is_kept_as_it_came(tmp_path: Path):
    script = replies(b"\x1f\x8b compressed", headers={"content-encoding": "gzip"})
    async with (
        open_chat_endpoint(script) as endpoint,
        open_desktop(tmp_path) as desktop,
        desktop.attached() as outpost,
    ):
        await ask(outpost, endpoint.url)
        assert bytes((await outpost.ended("one")).streams[3]) == b"\x1f\x8b compressed"


async def test_the_pieces_of_an_answer_come_as_they_are_made(tmp_path: Path):
    go_on = anyio.Event()
    async with (
        open_chat_endpoint(replies(b"first ", go_on, b"second")) as endpoint,
        open_desktop(tmp_path) as desktop,
        desktop.attached() as outpost,
    ):
        run = await ask(outpost, endpoint.url)
        await outpost.until(lambda: bytes(run.streams[3]) == b"first ")
        go_on.set()
        await outpost.ended("one")
        assert bytes(run.streams[3]) == b"first second"


async def test_an_endpoint_that_says_nothing_for_too_long_is_silent(tmp_path: Path):
    async def mute(exchange: Exchange) -> None:
        await exchange.client_left.wait()

    async with (
        open_chat_endpoint(mute, replies(b"then nothing", ending="hold")) as endpoint,
        open_desktop(tmp_path) as desktop,
        desktop.attached() as outpost,
    ):
        await ask(outpost, endpoint.url, idle=0.2)
        run = await outpost.ended("one")
        assert (error_of(run), run.heads) == ("silent", [])
        await ask(outpost, endpoint.url, "two", idle=0.2)
        run = await outpost.ended("two")
        assert (error_of(run), bytes(run.streams[3])) == ("silent", b"then nothing")


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("ending", ["cut", "reset"])
async def test_an_answer_that_breaks_off_is_lost_and_what_came_is_kept(tmp_path: Path, is_chunked: bool, ending: str):
    heard = anyio.Event()

    async def breaks(exchange: Exchange) -> None:
        await exchange.head(headers={} if is_chunked else {"content-length": "100"}, chunked=is_chunked)
        await exchange.send(b"half")
        await heard.wait()
        if ending == "reset":
            await exchange.reset()

    async with (
        open_chat_endpoint(breaks) as endpoint,
        open_desktop(tmp_path) as desktop,
        desktop.attached() as outpost,
    ):
        run = await ask(outpost, endpoint.url)
        await outpost.until(lambda: bytes(run.streams[3]) == b"half")
        heard.set()
        await outpost.ended("one")
        assert (error_of(run), bytes(run.streams[3])) == ("lost", b"half")


@pytest.mark.parametrize(
    "said", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200]
)
async def test_what_is_no_http_is_lost(tmp_path: Path, said: bytes):
    async def other(exchange: Exchange) -> None:
        await exchange.raw(said)

    async with (
        open_chat_endpoint(other) as endpoint,
        open_desktop(tmp_path) as desktop,
        desktop.attached() as outpost,
    ):
        await ask(outpost, endpoint.url)
        assert error_of(await outpost.ended("one")) == "lost"


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://127.0.0.1:1", "connect"),
        ("http://127.0.0.1:99999", "connect"),
        ("http://no-such-host.invalid", "connect"),
        ("http://[broken", "start_failed"),
    ],
)
async def test_an_address_that_leads_nowhere_is_said(tmp_path: Path, url: str, error: str):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await ask(outpost, url)
        run = await outpost.ended("one")
        assert (error_of(run), run.heads) == (error, [])
        assert is_alive(outpost.hello["pid"])


async def test_a_cancel_closes_the_request_and_a_lost_server_does_not(tmp_path: Path):
    async with (
        open_chat_endpoint(replies(b"held", ending="hold")) as endpoint,
        open_desktop(tmp_path) as desktop,
    ):
        async with desktop.attached() as outpost:
            run = await ask(outpost, endpoint.url)
            await outpost.until(lambda: bytes(run.streams[3]) == b"held")
        async with desktop.attached() as outpost:
            await outpost.attach("one")
            await outpost.state("one", "running")
            assert endpoint.clients_left == 0
            await outpost.send(Kind.CANCEL, "one", position=5000)
            assert (await outpost.ended("one")).ended["why"] == "cancel"
            await endpoint.wait_until_a_client_left()


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "[fe80::1]", "0.0.0.0", "[::ffff:169.254.169.254]", "0xa9fea9fe", "2852039166", "10.9.9.9"],
)
async def test_an_address_beyond_the_desktops_loopback_is_not_asked(tmp_path: Path, host: str):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await ask(outpost, f"http://{host}:9/v1")
        run = await outpost.ended("one")
        assert error_of(run) == "address", run.ended
        assert run.heads == []


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "localhost", "[::ffff:127.0.0.1]"])
async def test_the_desktops_loopback_is_asked_however_it_is_written(tmp_path: Path, host: str):
    async with (
        open_chat_endpoint(replies(answer("hi"))) as endpoint,
        open_desktop(tmp_path) as desktop,
        desktop.attached() as outpost,
    ):
        await ask(outpost, endpoint.url.replace("127.0.0.1", host))
        run = await outpost.ended("one")
        assert bytes(run.streams[3]) == answer("hi")
