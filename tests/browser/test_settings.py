"""Keys, sessions and the audit, as an admin uses them in a browser."""

import json
import re
from pathlib import Path

import asyncssh
from playwright.async_api import expect

from tests.browser.signing_in import signed_in
from tests.support.browser import open_browser, open_page
from tests.support.server_process import open_server


async def test_a_key_for_some_desktops_is_made_signs_in_and_its_browser_is_signed_out(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        desktop = await server.desktop()
        await server.http.patch(f"/api/desktops/{desktop['id']}", json={"labels": ["demo"]})
        async with signed_in(browser, server.link) as page:
            await page.goto(f"{server.url}/settings")
            await page.get_by_role("button", name="New key").click()
            dialog = page.get_by_role("dialog", name="New key")
            await dialog.get_by_role("textbox", name="Name").fill("Mia")
            await dialog.get_by_role("textbox", name="Only desktops labelled").fill("nothing here, web")
            await dialog.get_by_role("combobox", name="Expires").select_option("30")
            await dialog.get_by_role("button", name="Make key").click()
            made = page.get_by_role("dialog", name="Copy the key now")
            secret = await made.locator("code").inner_text()
            await made.get_by_role("button", name="Done").click()
            mine = page.get_by_role("list", name="API keys").get_by_role("listitem", name="Mia")
            await expect(mine).to_contain_text("only desktops labelled nothing here or web")
            await expect(mine).to_contain_text("never used")
            await expect(mine).to_contain_text("expires in 29 d")

            async with open_page(browser, server.url) as (other, complaints):
                await other.get_by_label("API key").fill(secret)
                await other.get_by_role("button", name="Sign in").click()
                await other.get_by_role("link", name="Desktops").first.click()
                await expect(other.get_by_text("Demo desktop")).to_have_count(0)
                await other.goto(f"{server.url}/settings")
                await expect(other.get_by_text("on desktops labelled nothing here or web")).to_be_visible()
                sessions = other.get_by_role("list", name="Sessions").get_by_role("listitem")
                await expect(sessions).to_have_count(1)
                await expect(sessions).to_contain_text("this browser")
                await expect(other.get_by_role("heading", name="Audit")).to_have_count(0)

                await page.reload()
                theirs = page.get_by_role("list", name="Sessions").get_by_role("listitem", name="Mia, Chrome on Linux")
                await expect(theirs).to_contain_text("127.0.0.1")
                await theirs.get_by_role("button", name=re.compile("^Sign out")).click()
                await page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
                await expect(theirs).to_have_count(0)
                await expect(other.get_by_text("Your session has ended")).to_be_visible()
                await other.get_by_label("API key").fill(secret)
                await other.get_by_role("button", name="Sign in").click()
                await expect(other.get_by_role("status", name="Connection: Live")).to_be_visible()
                complaints.forget("401")

            audit = page.get_by_role("list", name="Audit").get_by_role("listitem")
            await page.reload()
            await expect(audit.first).to_contain_text("Mia signed in with a key")
            await expect(audit.first).to_contain_text("browser, 127.0.0.1")
            await expect(audit.nth(1)).to_contain_text("owner signed out: Mia")
            await page.get_by_role("combobox", name="Kind of action").select_option("key.*")
            await expect(audit.first).to_contain_text("Key Mia made")
            await expect(audit).to_have_count(2)
            await page.get_by_role("combobox", name="Who did it").select_option("local")
            await expect(audit).to_have_count(1)
            await expect(audit).to_contain_text("local Key tests made")


async def test_an_authority_is_trusted_for_the_fleet_by_a_pasted_line_and_taken_back(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
        async with signed_in(browser, server.link, provoked=("422",)) as page:
            await page.goto(f"{server.url}/settings")
            known = page.get_by_role("list", name="Known hosts").get_by_role("listitem")
            await expect(known).to_contain_text("trusted by the host key that was confirmed")
            await page.get_by_role("button", name="New known host").click()
            dialog = page.get_by_role("dialog", name="New known host")
            hosts, public_key = dialog.get_by_label("Hosts"), dialog.get_by_label("Public key")
            await expect(public_key).to_be_focused()
            await hosts.fill("*.example.com")
            await public_key.fill("ssh-ed25519 none")
            await dialog.get_by_role("button", name="Trust").click()
            await expect(dialog.get_by_text("is not a public key")).to_be_visible()
            await public_key.fill(f"@revoked *.example.org,!ci.example.org {key} of the fleet")
            await hosts.focus()
            await expect(hosts).to_have_value("*.example.org, !ci.example.org")
            await expect(dialog.get_by_role("radio", name="Revoked key")).to_be_checked()
            await dialog.get_by_role("button", name="Revoke").click()
            line = page.get_by_role("listitem", name="Revoked key for *.example.org, !ci.example.org")
            await expect(line).to_contain_text("SHA256:")
            (stored,) = (await server.http.get("/api/mission-control/known-hosts")).json()
            assert (stored["marker"], stored["hosts"]) == ("revoked", ["*.example.org", "!ci.example.org"])
            assert stored["publicKey"] == key
            await line.get_by_role("button", name=re.compile("^Remove")).click()
            await page.get_by_role("dialog").get_by_role("button", name="Allow again").click()
            await expect(page.get_by_role("dialog")).to_be_hidden()  # it hides the list from assistive technology
            await expect(line).to_have_count(0)
            assert (await server.http.get("/api/mission-control/known-hosts")).json() == []


async def test_the_seal_key_is_changed_while_the_server_runs(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        new = {"name": "NPM_TOKEN", "value": "a-token-of-some-length"}
        (await server.http.post("/api/mission-control/secrets", json=new)).raise_for_status()
        before = (server.data_dir / "seal.key").read_bytes()
        async with signed_in(browser, server.link) as page:
            await page.goto(f"{server.url}/settings")
            await page.get_by_role("button", name="Change the seal key").click()
            await page.get_by_role("dialog").get_by_role("button", name="Change key").click()
            await expect(page.get_by_text("The seal key is changed")).to_be_visible()
            await expect(page.get_by_text(re.compile(r"^\d secrets? (is|are) sealed with it"))).to_be_visible()
            assert (server.data_dir / "seal.key").read_bytes() != before


async def test_the_head_of_the_log_is_shown_to_be_kept_elsewhere(tmp_path: Path):
    async with open_server(tmp_path / "data", demo=False) as server, open_browser() as browser:
        async with signed_in(browser, await server.another_link()) as page:
            await page.goto(f"{server.url}/settings")
            log = page.get_by_role("region", name="Log", exact=True)
            await expect(log.get_by_role("definition")).to_have_count(3)
            head = (await server.http.get("/api/mission-control/log/head")).json()
            await log.get_by_role("button", name="Read again").click()
            await expect(log).to_contain_text(head["chain"])
            await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            await log.get_by_role("button", name="Copy head").click()
            await expect(log.get_by_role("button", name="Copied")).to_be_visible()
            assert json.loads(await page.evaluate("navigator.clipboard.readText()")) == head
