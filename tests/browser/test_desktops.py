"""Desktops: from an address to a machine that runs tasks, what happened to it, and out of service and back."""

import re
from pathlib import Path

from playwright.async_api import Locator, Page, expect

from tests.browser.signing_in import signed_in
from tests.browser.test_new_task import field
from tests.browser.test_output import row
from tests.support.browser import open_browser
from tests.support.chat_endpoint import open_chat_endpoint
from tests.support.server_process import open_server
from tests.support.sshd import key, open_sshd, private_text


def step(dialog: Locator, name: str) -> Locator:
    """A step of the check."""
    return dialog.get_by_role("list", name="Check").get_by_role("listitem").filter(has_text=name)


async def menu(page: Page, item: str) -> None:
    """Chooses from the actions of the desktop whose page this is."""
    await page.get_by_role("button", name=re.compile("^Actions for")).click()
    await page.get_by_role("menuitem", name=item).click()


async def test_a_desktop_is_added_by_comparing_its_fingerprint_and_runs_a_command(tmp_path: Path):
    async with (
        open_sshd() as host,
        open_chat_endpoint() as endpoint,
        open_server(tmp_path / "data", demo=False) as server,
        open_browser() as browser,
    ):
        async with signed_in(browser, await server.another_link(), provoked=("422",)) as page:
            await page.keyboard.press("g")
            await page.keyboard.press("d")
            await page.get_by_role("button", name="Add desktop").first.click()
            dialog = page.get_by_role("dialog")
            await dialog.get_by_role("button", name="Continue").click()
            await expect(field(dialog, "Address")).to_have_accessible_description(re.compile("Enter user@host"))
            await field(dialog, "Address").fill(f"{host.username}@127.0.0.1:{host.port}")
            await field(dialog, "Name").fill("Büro <1>")
            await dialog.get_by_role("combobox", name="Sign in with").select_option("key")
            await dialog.get_by_role("button", name="Continue").click()
            await expect(field(dialog, "Private key")).to_have_accessible_description("Paste the private key.")
            await field(dialog, "Private key").fill(private_text(host.user_key))
            await dialog.get_by_role("textbox", name=re.compile("^Labels")).fill("office, sshd")
            await dialog.get_by_role("button", name="Continue").click()

            # Its key is shown and compared; the dialog may be left, and nothing is sent meanwhile.
            fingerprint = host.fingerprint
            await expect(dialog.get_by_role("heading", name="Confirm Büro <1>")).to_be_visible()
            await expect(dialog.get_by_role("radio", name=fingerprint)).to_be_checked()
            await dialog.get_by_role("button", name="Later").click()
            mine = page.get_by_role("list", name="Desktops").get_by_role("listitem", name="Büro <1>")
            await mine.get_by_role("button", name="Confirm key").click()
            assert "Accepted" not in host.log
            await dialog.get_by_role("button", name="Confirm and check").click()
            for name in ("Reach the host", "Host key", "Sign in", "Run a command", "Keep runs alive"):
                await expect(step(dialog, name)).to_contain_text(f"{name} works")
            await expect(step(dialog, "Agent")).not_to_contain_text("works")

            # The agent is named, and the check says whether it answers.
            await dialog.get_by_role("combobox", name="Kind").select_option("openai")
            await field(dialog, "Agent URL").fill(endpoint.url)
            await field(dialog, "Model").fill("test")
            await dialog.get_by_role("button", name="Save agent").click()
            await expect(step(dialog, "Agent")).to_contain_text("Agent works")
            await dialog.get_by_role("button", name="Done").click()

            await mine.get_by_role("link", name="Büro <1>").click()
            main = page.get_by_role("main")
            await expect(main.get_by_text("Running", exact=True)).to_be_visible()
            await expect(main.get_by_text(fingerprint)).to_be_visible()
            await expect(main.get_by_text("No task was created on it yet.")).to_be_visible()
            history = main.get_by_role("region", name="History")
            for words in ("added by owner", "is running", "agent is ready"):
                await expect(history.get_by_text(words).first).to_be_visible()

            await page.get_by_role("button", name="Run a command").click()
            dialog = page.get_by_role("dialog", name="New task")
            await expect(dialog.get_by_role("radio", name="Command")).to_be_checked()
            await expect(dialog.get_by_role("combobox", name="Desktop")).to_have_value("Büro <1>")
            await field(dialog, "Command").fill("echo hello from $HOME")
            await dialog.get_by_role("button", name=re.compile("^Create and run")).click()
            tasks = main.get_by_role("list", name="Tasks", exact=True).get_by_role("listitem")
            await expect(tasks).to_have_count(1)
            await expect(tasks.get_by_role("img", name="Done")).to_be_visible()

            # Out of service it takes nothing new, says so, and comes back.
            await menu(page, "Take out of service")
            await expect(main.get_by_text("Stopped").or_(main.get_by_text("Out of service")).first).to_be_visible()
            run = page.get_by_role("button", name="Run a command")
            await expect(run).to_have_attribute("aria-disabled", "true")
            await expect(run).to_have_attribute("title", "It is not running.")
            await expect(history.get_by_text("taken out of service by owner")).to_be_visible()
            await page.keyboard.press("n")
            await dialog.get_by_role("combobox", name="Desktop").click()
            await expect(dialog.get_by_role("listbox")).to_contain_text(
                re.compile(r"No desktop is running\.\s+1 other\s+cannot run tasks now: stopped\.")
            )
            await page.keyboard.press("Escape")
            await page.keyboard.press("Escape")
            await menu(page, "Back into service")
            await expect(run).not_to_have_attribute("aria-disabled", "true")

            # Its name and labels are its own page's business, too.
            await main.get_by_role("region", name="Settings").get_by_role("button", name="Change").click()
            form = main.get_by_role("form", name="Settings of Büro <1>")
            await form.get_by_label("Name").fill("Office")
            await form.get_by_label("Tasks at a time").fill("none")
            await form.get_by_role("button", name="Save").click()
            await expect(form.get_by_label("Tasks at a time")).to_have_accessible_description(
                "Tasks at a time must be a whole number, 1 or more."
            )
            await form.get_by_label("Tasks at a time").fill("2")
            await form.get_by_role("button", name="Save").click()
            await expect(page.get_by_role("heading", name="Office")).to_be_visible()
            await expect(main.get_by_text("2 tasks")).to_be_visible()
            await tasks.get_by_role("link").click()
            await expect(row(page, f"hello from {host.home}")).to_be_visible()
            await page.go_back()

            await menu(page, "Remove")
            await page.get_by_role("dialog").get_by_role("button", name="Remove desktop").click()
            await expect(page).to_have_url(re.compile("/desktops$"))
            await expect(page.get_by_text("No desktops yet")).to_be_visible()


async def test_a_host_that_shows_another_key_is_sent_nothing_until_somebody_confirms_it(tmp_path: Path):
    async with open_server(tmp_path / "data", demo=False) as server, open_browser() as browser:
        async with open_sshd() as host:
            old = host.fingerprint
            body = {"name": "moved", "ssh": host.ssh(hostKeyFingerprint=old)}
            (await server.http.post("/api/desktops", json=body)).raise_for_status()
            async with signed_in(browser, await server.another_link()) as page:
                await page.goto(f"{server.url}/desktops")
                mine = page.get_by_role("list", name="Desktops").get_by_role("listitem", name="moved")
                await expect(mine.get_by_text("Running")).to_be_visible()
        other = key("ssh-ed25519", "another host")
        async with open_sshd(port=host.port, host_keys={"ed25519": other}, user_key=host.user_key) as changed:
            link = await server.another_link()
            async with signed_in(browser, link) as page:
                await page.goto(f"{server.url}/desktops")
                mine = page.get_by_role("list", name="Desktops").get_by_role("listitem", name="moved")
                await mine.get_by_role("button", name="Confirm key").click(timeout=40_000)
                dialog = page.get_by_role("dialog")
                await expect(dialog.get_by_text("This host shows another key")).to_be_visible()
                await expect(dialog.get_by_text(old)).to_be_visible()
                await expect(dialog.get_by_role("radio", name=other.get_fingerprint())).to_be_visible()
                assert "Accepted" not in changed.log
                await dialog.get_by_role("button", name="Confirm and check").click()
                await expect(step(dialog, "Run a command")).to_contain_text("Run a command works")
                await dialog.get_by_role("button", name="Done").click()
                await expect(mine.get_by_text("Running")).to_be_visible()


async def test_a_desktop_that_is_away_says_why_and_when_it_is_tried_again(tmp_path: Path):
    async with open_server(tmp_path / "data", demo=False) as server, open_browser() as browser:
        async with open_sshd() as host:
            body = {"name": "away", "ssh": host.ssh(hostKeyFingerprint=host.fingerprint)}
            desktop = (await server.http.post("/api/desktops", json=body)).json()
            async with signed_in(browser, await server.another_link()) as page:
                await page.goto(f"{server.url}/desktops/{desktop['id']}")
                await expect(page.get_by_role("main").get_by_text("Running", exact=True)).to_be_visible()
        async with signed_in(browser, await server.another_link()) as page:
            await page.goto(f"{server.url}/desktops/{desktop['id']}")
            said = page.get_by_role("main").get_by_text(f"nothing listens on port {host.port}").first
            await expect(said).to_contain_text("It is tried again every 30 s or sooner.")
