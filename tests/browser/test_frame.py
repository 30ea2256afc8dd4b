"""What is around every screen: the palette, notifications, the page without a server, and what may run on it."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from playwright.async_api import Page, expect

from tests.browser.screenshots import give_work
from tests.browser.signing_in import signed_in
from tests.browser.test_accessibility import goes_to, screens
from tests.browser.test_mission import column
from tests.support.browser import LOST, PHONE, open_browser, open_page
from tests.support.server_process import open_server

NO_STORAGE = """() => {
  for (const name of ['localStorage', 'sessionStorage', 'indexedDB', 'caches'])
    Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError'); } });
}"""
COLLECTS_VIOLATIONS = """() => {
  window.violations = [];
  document.addEventListener('securitypolicyviolation', (event) =>
    violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
}"""
HIDDEN = """() => {
  Object.defineProperty(document, 'visibilityState', { get: () => window.isShown ? 'visible' : 'hidden' });
  document.dispatchEvent(new Event('visibilitychange'));
}"""
SHOWN_NOTIFICATIONS = """async () => {
  const shown = await (await navigator.serviceWorker.ready).getNotifications();
  return shown.map(({ title, body, tag, data }) => ({ title, body, tag, path: data.path }));
}"""


async def palette(page: Page, text: str) -> None:
    """Opens the palette and types."""
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("dialog", name="Go to, or do")).to_be_visible()
    await page.keyboard.type(text)


def first_found(page: Page):
    """What Enter would choose."""
    return page.get_by_role("listbox", name="Found").get_by_role("option").first


async def test_the_palette_finds_tasks_of_the_whole_log_and_places(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        task = await server.run("echo quokka", title="A task that is hard to find")
        await server.ended(task["id"])
        async with signed_in(browser, server.link) as page:
            await palette(page, "quokka")
            found = page.get_by_role("option", name=re.compile("A task that is hard to find"))
            await expect(found).to_be_visible()
            await page.keyboard.press("Enter")
            await expect(page).to_have_url(f"{server.url}/tasks/{task['id']}")
            await palette(page, "sett")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("heading", name="Settings")).to_be_visible()
            await page.keyboard.press("Control+k")
            await expect(first_found(page)).to_have_text(re.compile("Settings|Board"))
            await page.keyboard.press("Escape")
            await expect(page.get_by_role("dialog")).to_be_hidden()


async def test_the_palette_begins_with_what_the_selected_tasks_can_do(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        desktop = (await server.desktop())["id"]
        for name in ("one", "two"):
            body = {"type": "command", "content": f"echo {name}", "desktopId": desktop}
            (await server.http.post("/api/mission-control/tasks", json=body)).raise_for_status()
        async with signed_in(browser, server.link) as page:
            await expect(column(page, "Pending").get_by_text("echo two")).to_be_visible()
            for key in ("j", "x", "j", "x"):
                await page.keyboard.press(key)
            await palette(page, "run")
            await expect(first_found(page)).to_have_text(re.compile("Run"))
            await page.keyboard.press("Enter")
            for name in ("one", "two"):
                await expect(column(page, "Done").get_by_text(f"echo {name}")).to_be_visible()


async def test_keys_that_are_switched_off_do_nothing_but_combinations_stay(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        async with signed_in(browser, server.link) as page:
            await palette(page, "single-key")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("dialog")).to_be_hidden()
            for key in ("n", "?", "g", "d"):
                await page.keyboard.press(key)
            await palette(page, "single-key shortcuts on")
            await page.keyboard.press("Enter")
            await expect(page).to_have_url(re.compile(r"/$"))
            await page.keyboard.press("?")
            await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


async def test_a_screen_reached_by_key_is_named_and_has_the_focus(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        await server.run("echo looked at", title="looked at")
        async with signed_in(browser, server.link) as page:
            await expect(column(page, "Done").get_by_role("link", name="looked at")).to_be_visible()
            await page.keyboard.press("j")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("heading", name="looked at")).to_be_visible()
            await expect(page.locator("#main")).to_be_focused()
            await page.keyboard.press("u")
            await expect(column(page, "Done").get_by_role("link", name="looked at")).to_be_focused()
            for key in ("g", "d"):
                await page.keyboard.press(key)
            await expect(page.get_by_role("status").filter(has_text="Desktops. Nothing waits")).to_be_attached()
            await expect(page.locator("#main")).to_be_focused()
            await page.keyboard.press("Tab")
            assert await page.evaluate("document.getElementById('main').contains(document.activeElement)")


async def test_nothing_on_any_screen_breaks_the_content_security_policy(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        ids = await give_work(server)
        ids["desktop"] = (await server.desktop())["id"]
        async with signed_in(browser, server.link) as page:
            await page.add_init_script(f"({COLLECTS_VIOLATIONS})()")
            policies: set[str] = set()
            page.on("response", lambda answer: policies.add(answer.headers.get("content-security-policy", "none")))
            for name, path, opening in screens(ids):
                await goes_to(page, server.url + path, opening)
                assert await page.evaluate("violations") == [], name
            assert policies and all("unsafe" not in policy and policy != "none" for policy in policies)


async def test_without_its_server_the_page_says_so_and_opens_by_itself_when_it_is_back(tmp_path: Path):
    data = tmp_path / "data"
    async with open_browser() as browser:
        async with open_server(data) as server:
            await server.desktop()
            port, key = int(server.url.rpartition(":")[2]), server.http.headers["x-api-key"]
            async with open_page(browser, server.link, may_complain=True) as (page, _):
                await page.get_by_role("button", name="New Task").first.wait_for()
                await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
                await server.stop()
                await page.goto(f"{server.url}/desktops")
                await expect(page.get_by_role("heading", name="Mission Control cannot be reached")).to_be_visible()
                async with open_server(data, port=port, key=key):
                    await expect(page.get_by_role("heading", name="Desktops")).to_be_visible(timeout=30_000)


async def test_a_notification_leads_to_the_approval_in_three_taps_on_a_phone(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        async with signed_in(browser, server.link, size=PHONE) as page:
            await page.context.grant_permissions(["notifications"])
            await page.goto(f"{server.url}/settings")
            await page.get_by_role("switch", name="Notifications").click()
            await page.goto(server.url)
            await expect(page.get_by_label("Connection: Live")).to_be_visible()
            await page.evaluate(f"({HIDDEN})()")
            task = await server.run("echo ready", title="Release", requiresApproval=True)
            await server.ended(task["id"])
            await expect(page).to_have_title(re.compile(r"^\(1\) "))
            icon = page.locator('link[rel="icon"]')
            await expect(icon).to_have_attribute("href", re.compile(r"^data:image/svg"))
            shown = await page.evaluate(SHOWN_NOTIFICATIONS)
            path = f"/approvals/{task['id']}"
            assert shown == [
                {"title": "Waits for your decision", "body": "Release", "tag": task["id"], "path": path},
            ]
            # The first tap is the system's; the worker then says where to go.
            await page.evaluate("path => navigator.serviceWorker.dispatchEvent(new MessageEvent('message', "
                                "{ data: { go: path } }))", path)  # fmt: skip
            await page.evaluate("window.isShown = true; document.dispatchEvent(new Event('visibilitychange'))")
            await page.get_by_role("button", name=re.compile("^Approve")).click()
            assert (await server.task(task["id"]))["status"] == "review"  # for five seconds it can be undone
            await page.get_by_role("link", name="Board").click()
            await expect(page).to_have_title(re.compile("^Board"))
            await expect(icon).to_have_attribute("href", "/icon.svg")
        assert (await server.task(task["id"]))["status"] == "done"


async def test_a_private_window_without_storage_works(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        async with signed_in(browser, server.link) as page:
            await page.add_init_script(f"({NO_STORAGE})()")
            await page.goto(server.url)
            await expect(page.get_by_label("Connection: Live")).to_be_visible()
            await palette(page, "dark theme")
            await page.keyboard.press("Enter")
            await expect(page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_a_choice_in_one_tab_holds_in_the_other(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        async with signed_in(browser, server.link) as page:
            other = await page.context.new_page()
            await other.goto(server.url)
            await expect(other.get_by_label("Connection: Live")).to_be_visible()
            await palette(page, "dark theme")
            await page.keyboard.press("Enter")
            await expect(other.locator("html")).to_have_attribute("data-theme", "dark")


async def test_the_dot_says_since_when_the_page_is_offline_also_while_it_tries_again(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        async with signed_in(browser, server.link, provoked=LOST) as page:
            await expect(page.get_by_role("status", name="Connection: Live")).to_be_visible()
            server.kill()
            dot = page.get_by_role("status", name=re.compile(r"^Connection: Offline since \d\d:\d\d$"))
            await expect(dot).to_be_visible()
            port = int(server.url.rpartition(":")[2])
            with socket.create_server(("127.0.0.1", port)):  # takes calls, and never answers
                bar = page.get_by_role("status").filter(has_text="Connection lost")
                now = bar.get_by_role("button", name="Try now")
                await now.or_(bar.get_by_text("Trying now")).first.wait_for()
                if await now.is_visible():
                    await now.press("Enter")
                await expect(bar).to_contain_text("Trying now")
                assert await dot.is_visible()


async def test_a_lost_connection_disables_what_needs_the_server_and_says_why(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        async with signed_in(browser, server.link, provoked=LOST) as page:
            server.kill()
            bar = page.get_by_role("status").filter(has_text="Connection lost")
            await expect(bar).to_contain_text(re.compile(r"as of \d\d:\d\d:\d\d"))
            await expect(bar).to_contain_text(re.compile("Next try in|Trying now"))
            create = page.get_by_role("button", name="New Task").first
            await expect(create).to_have_attribute("aria-disabled", "true")
            await expect(create).to_have_attribute("title", "The connection to the server is lost.")
