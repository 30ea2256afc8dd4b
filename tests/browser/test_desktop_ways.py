"""Desktops that are reached through another one and vouched for by an authority, added and changed in a browser."""

import time
from pathlib import Path

from playwright.async_api import Locator, expect

from mission_control.runs.connection import public_line
from tests.browser.signing_in import signed_in
from tests.support.browser import open_browser
from tests.support.server_process import ServerProcess, open_server
from tests.support.sshd import SshHost, key, open_sshd, private_text

DAY = 24 * 3600
HOST_CA, USER_CA = key("ssh-ed25519", "authority of hosts"), key("ssh-ed25519", "authority of people")
MINE = key("ssh-ed25519", "named by no authorized_keys")


def certified(folder: Path) -> tuple[str, ...]:
    """The options of an sshd that an authority has signed, and that lets in whom another authority has signed."""
    valid = {"valid_after": 0, "valid_before": time.time() + DAY}
    (host := folder / "host-cert.pub").write_bytes(
        HOST_CA.generate_host_certificate(
            key("ssh-ed25519"), "host", principals=["127.0.0.1"], **valid
        ).export_certificate()
    )
    (users := folder / "users.pub").write_text(public_line(USER_CA) + "\n")
    return (f"HostCertificate {host}", f"TrustedUserCAKeys {users}", "AuthorizedKeysFile none")


def certificate_for(host: SshHost) -> str:
    """Of our own key, for the account of a host."""
    made = USER_CA.generate_user_certificate(
        MINE, "me", principals=[host.username], valid_after=0, valid_before=time.time() + DAY
    )
    return made.export_certificate().decode()


async def add_bastion(server: ServerProcess, host: SshHost) -> None:
    added = (await server.http.post("/api/desktops", json={"name": "bastion", "ssh": host.ssh()})).json()
    offered = added["ssh"]["offeredHostKeys"][0]["fingerprint"]
    await server.http.patch(f"/api/desktops/{added['id']}", json={"ssh": {"hostKeyFingerprint": offered}})


async def sign_in_by_certificate(form: Locator, host: SshHost) -> None:
    await form.get_by_role("combobox", name="Sign in with").select_option("key")
    await form.get_by_role("textbox", name="Private key").fill(private_text(MINE))
    await form.get_by_role("textbox", name="Certificate", exact=True).fill(certificate_for(host))


async def test_a_desktop_is_reached_through_another_and_vouched_for_by_an_authority(tmp_path: Path):
    async with (
        open_sshd() as jump,
        open_sshd(options=certified(tmp_path)) as inner,
        open_server(tmp_path / "data") as server,
        open_browser() as browser,
    ):
        await add_bastion(server, jump)
        async with signed_in(browser, server.link, provoked=("422",)) as page:
            await page.goto(f"{server.url}/desktops")
            await page.get_by_role("button", name="Add").first.click()
            dialog = page.get_by_role("dialog")
            await dialog.get_by_role("textbox", name="Address").fill(f"{inner.username}@127.0.0.1:{inner.port}")
            await dialog.get_by_role("textbox", name="Name").fill("inner")
            await sign_in_by_certificate(dialog, inner)
            await dialog.get_by_role("button", name="More").click()
            await dialog.get_by_role("combobox", name="Way").select_option("Through bastion")
            authority = dialog.get_by_role("textbox", name="Host certificate authority")
            await authority.fill("ssh-ed25519 tooshort")
            await dialog.get_by_role("button", name="Continue").click()
            await expect(authority).to_have_attribute("aria-invalid", "true")
            await expect(dialog.get_by_role("alert")).to_contain_text("is not a public key")
            await authority.fill(f"@cert-authority * {public_line(HOST_CA)} ca@example")
            await dialog.get_by_role("button", name="Continue").click()

            # Nobody is asked for a fingerprint: it is checked at once.
            await expect(dialog.get_by_role("heading", name="Check inner")).to_be_visible()
            await expect(dialog.get_by_role("listitem").filter(has_text="Sign in works")).to_be_visible()
            assert "Accepted publickey" in jump.log and "Accepted certificate ID" in inner.log, inner.log
            await dialog.get_by_role("button", name="Done").click()

            await page.get_by_role("link", name="inner").click()
            facts = page.get_by_role("region", name="Connection")
            await expect(facts).to_contain_text("through bastion")
            await expect(facts).to_contain_text("any that this authority signed")
            await facts.get_by_role("button", name="Change the connection").click()
            form = page.get_by_role("form", name="Connection of inner")
            await form.get_by_role("combobox", name="Way").select_option("Straight from the server")
            await form.get_by_role("button", name="Save").click()
            way = form.get_by_role("combobox", name="Sign in with")
            await expect(way).to_have_attribute("aria-invalid", "true")  # another way is another place for the secret
            await sign_in_by_certificate(form, inner)
            await form.get_by_role("button", name="Save").click()
            await expect(form).to_have_count(0)
            await expect(facts).not_to_contain_text("through bastion")
            await expect(page.get_by_text("Running").first).to_be_visible()
