"""What is known of hosts for the whole fleet: real sshds with host certificates, and authorities that come and go."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from mission_control.runs.connection import public_line
from tests.cli.program import Program
from tests.runs.test_host_trust import CA, OTHER_CA, certified
from tests.support.server_process import ServerProcess, open_server
from tests.support.sshd import SshHost, key, open_sshd
from tests.support.waiting import until

KNOWN = "/api/mission-control/known-hosts"


class Fleet:
    """A server without desktops, and its command line."""

    def __init__(self, server: ServerProcess) -> None:
        self.http = server.http
        self.program = Program(server.data_dir)

    async def add_desktop(self, host: SshHost, **ssh: Any) -> str:
        made = await self.http.post("/api/desktops", json={"name": "build-1", "ssh": host.ssh(**ssh)})
        assert made.status_code == 201, made.text
        return made.json()["id"]

    async def trust(self, *hosts: str, by: asyncssh.SSHKey = CA, marker: str = "cert-authority") -> str:
        body = {"marker": marker, "hosts": hosts, "publicKey": public_line(by)}
        made = await self.http.post(KNOWN, json=body)
        assert made.status_code == 201, made.text
        return made.json()["id"]

    async def desktop(self, id: str) -> dict[str, Any]:
        return (await self.http.get(f"/api/desktops/{id}")).json()

    async def until(self, id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        desktop: dict[str, Any] = {}

        async def look() -> bool:
            nonlocal desktop
            desktop = await self.desktop(id)
            return holds(desktop)

        try:
            await until(look, "the desktop", seconds=20)
        except AssertionError:
            raise AssertionError(f"The desktop never came to what was waited for. It is {desktop}") from None
        return desktop

    async def until_status(self, id: str, status: str) -> dict[str, Any]:
        return await self.until(id, lambda desktop: desktop["status"] == status)

    async def until_refused(self, id: str, code: str) -> None:
        await self.until(id, lambda desktop: (desktop["error"] or {}).get("code") == code)


@asynccontextmanager
async def open_fleet(tmp_path: Path) -> AsyncGenerator[Fleet]:
    async with open_server(tmp_path / "data", demo=False) as server:
        yield Fleet(server)
        verified = await Program(server.data_dir).run("log", "verify")
        assert verified.code == 0, verified.text


async def test_desktops_are_trusted_by_an_authority_of_the_fleet_as_long_as_it_is_known(tmp_path: Path):
    async with open_fleet(tmp_path) as fleet, open_sshd(options=certified(tmp_path)) as host:
        waits = await fleet.add_desktop(host)
        assert (await fleet.desktop(waits))["status"] == "pending", "nobody has confirmed its key"
        authority = await fleet.trust("127.0.0.*", "!127.0.0.2")
        await fleet.until_status(waits, "running")
        new = await fleet.add_desktop(host)
        desktop = await fleet.until_status(new, "running")
        assert desktop["ssh"]["fleetAuthorities"] == [public_line(CA)]
        ran = await fleet.program.run("tasks", "create", "command", "echo there", "-d", new, "--watch")
        assert (ran.code, ran.out) == (0, b"there\n"), ran.said

        removed = await fleet.program.run("known-hosts", "remove", authority)
        assert removed.text == authority
        for id in (waits, new):
            await fleet.until(id, lambda desktop: (desktop["status"], desktop["link"]) == ("pending", "down"))
        events = (await fleet.http.get("/api/mission-control/activity?types=knownHost.*")).json()[::-1]
        assert [(event["type"], event["payload"]["hosts"]) for event in events] == [
            ("knownHost.added", ["127.0.0.*", "!127.0.0.2"]),
            ("knownHost.removed", ["127.0.0.*", "!127.0.0.2"]),
        ]
        assert [event["actor"]["via"] for event in events] == ["key", "local"]


@pytest.mark.parametrize("hosts", [("10.*",), ("*", "!127.0.0.1"), ("[127.0.0.1]:22",)])
async def test_an_authority_for_other_hosts_is_not_trusted_here(tmp_path: Path, hosts: tuple[str, ...]):
    async with open_fleet(tmp_path) as fleet, open_sshd(options=certified(tmp_path)) as host:
        await fleet.trust(*hosts)
        assert (await fleet.desktop(await fleet.add_desktop(host)))["status"] == "pending"
        assert "Accepted" not in host.log


async def test_what_a_desktop_trusts_for_itself_comes_first(tmp_path: Path):
    async with open_fleet(tmp_path) as fleet, open_sshd(options=certified(tmp_path)) as host, open_sshd() as plain:
        await fleet.trust("*", by=OTHER_CA)
        own = await fleet.add_desktop(host, hostAuthority=public_line(CA))
        await fleet.until_status(own, "running")
        fingerprint = plain.fingerprint
        pinned = await fleet.add_desktop(plain, hostKeyFingerprint=fingerprint)
        await fleet.until_status(pinned, "running")
        await fleet.until_refused(await fleet.add_desktop(host), "host_certificate_invalid")


async def test_a_key_that_is_revoked_for_the_fleet_ends_what_it_proved(tmp_path: Path):
    async with open_fleet(tmp_path) as fleet, open_sshd(options=certified(tmp_path)) as host, open_sshd() as plain:
        await fleet.trust("*")
        by_fleet = await fleet.add_desktop(host)
        fingerprint = plain.fingerprint
        pinned = await fleet.add_desktop(plain, hostKeyFingerprint=fingerprint)
        for id in (by_fleet, pinned):
            await fleet.until_status(id, "running")
        revoked = await fleet.trust("127.0.0.1", by=CA, marker="revoked")
        await fleet.until_refused(by_fleet, "host_key_revoked")
        assert (await fleet.desktop(pinned))["link"] == "up", "it does not rest on that key, and is left alone"
        await fleet.trust("127.0.0.1", by=plain.host_keys["ed25519"], marker="revoked")
        await fleet.until_refused(pinned, "host_key_revoked")
        assert (await fleet.http.delete(f"{KNOWN}/{revoked}")).status_code == 204
        await fleet.until_refused(by_fleet, "host_key_revoked")  # its host key is the plain one's, which still is


async def test_the_command_line_takes_them_over_from_a_known_hosts_file(tmp_path: Path):
    async with open_fleet(tmp_path) as fleet:
        (tmp_path / "ca.pub").write_text(f"{public_line(CA)} ca@example\n")
        added = await fleet.program.run("known-hosts", "add", "*.example.com", "--authority", str(tmp_path / "ca.pub"))
        assert added.code == 0, added.said
        stolen = public_line(key("ssh-ed25519", "stolen"))
        file = tmp_path / "known_hosts"
        file.write_text(
            f"# ours\n\n@cert-authority *.example.com {public_line(CA)} the same\n"
            f"@revoked * {stolen}\n@cert-authority build-?,[*.lab]:2222 {public_line(OTHER_CA)} lab\n"
            f"build-7 {stolen}\n@revoked |1|c2FsdA==|aGFzaA== {stolen}\n"
        )
        taken = await fleet.program.run("known-hosts", "import", str(file))
        assert taken.code == 0 and len(taken.text.splitlines()) == 2, taken.said
        assert "1 lines without a marker, 1 of a hashed host" in taken.said
        assert (await fleet.program.run("known-hosts", "import", str(file))).text == "", "all of it is there"
        known = (await fleet.program.run("known-hosts", "list", "--json")).json
        assert [(one["marker"], one["hosts"], one["publicKey"]) for one in known] == [
            ("cert-authority", ["*.example.com"], public_line(CA)),
            ("revoked", ["*"], stolen),
            ("cert-authority", ["build-?", "[*.lab]:2222"], public_line(OTHER_CA)),
        ]
        assert known[0]["fingerprint"] == CA.get_fingerprint()
        listed = (await fleet.program.run("known-hosts", "list")).text
        assert "@cert-authority" in listed and "build-?,[*.lab]:2222" in listed
        file.write_text("@cert-authority *.example.com\n")
        wrong = await fleet.program.run("known-hosts", "import", str(file))
        assert wrong.code == 2 and "line 1 is not" in wrong.said
        wrong = await fleet.program.run("known-hosts", "add", "*.example.com")
        assert wrong.code == 2


async def test_what_is_no_key_or_no_pattern_is_refused_before_it_stands_in_the_way_of_anybody(tmp_path: Path):
    async with open_fleet(tmp_path) as fleet:
        ca = public_line(CA)
        kind, text = ca.split()
        for change, pointer in [
            ({"publicKey": f"{kind} {text[:-8]}"}, "/publicKey"),
            ({"publicKey": f"ssh-rsa {text}"}, "/publicKey"),
            ({"publicKey": f"{ca} comment"}, "/publicKey"),
            ({"hosts": []}, "/hosts"),
            ({"hosts": ["*", "a b"]}, "/hosts/1"),
            ({"hosts": ["a,b"]}, "/hosts/0"),
        ]:
            body: dict[str, Any] = {"marker": "cert-authority", "hosts": ["*"], "publicKey": ca}
            refused = await fleet.http.post(KNOWN, json=body | change)
            assert refused.status_code == 422, change
            assert refused.json()["errors"][0]["pointer"] == pointer, refused.text
        body = {"marker": "cert-authority", "hosts": ["*"], "publicKey": ca}
        assert (await fleet.http.post(KNOWN, json=body)).status_code == 201
        assert (await fleet.http.post(KNOWN, json=body)).json()["code"] == "known_host_exists"
        assert (await fleet.http.delete(f"{KNOWN}/host_none")).json()["code"] == "not_found"
