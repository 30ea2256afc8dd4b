"""The activity panel: what happens in words, in one order, without a flood, and back to the first day."""

import re
from pathlib import Path

from playwright.async_api import Locator, Page, expect

from tests.browser.screenshots import make_fleet
from tests.browser.signing_in import signed_in
from tests.support.browser import open_browser
from tests.support.history import add_history
from tests.support.server_process import ServerProcess, open_server


def told(page: Page) -> Locator:
    """The lines of the panel."""
    return page.get_by_role("log", name="Events").locator("li").filter(has=page.locator("time"))


async def many(server: ServerProcess, desktops: list[str], count: int) -> None:
    """A batch of tasks that wait."""
    tasks = [
        {"type": "command", "content": f"echo {n}", "desktopId": desktops[n % len(desktops)]} for n in range(count)
    ]
    (await server.http.post("/api/mission-control/batches", json={"tasks": tasks})).raise_for_status()


async def test_what_happens_is_told_in_few_words_narrowed_held_back_and_followed(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        desktops = await make_fleet(server)
        names = {one["id"]: one["name"] for one in (await server.http.get("/api/desktops")).json()}
        async with signed_in(browser, server.link) as page:
            await page.keyboard.press("]")
            # A burst is one line, which says how many and where.
            await many(server, desktops, 12)
            burst = told(page).filter(has_text="12 tasks")
            await expect(burst).to_contain_text("created")
            await expect(burst).to_contain_text(re.compile(r"\w+, .+ and 2 more · tests"))
            assert await told(page).filter(has_text="echo 7").count() == 0

            # Others are told one by one, and lead to what they are about.
            failed = await server.run("exit 3", title="Fails")
            await server.ended(failed["id"])
            await expect(told(page).filter(has_text="Fails failed")).to_contain_text("exited with code 3")
            await told(page).filter(has_text="Fails failed").get_by_role("link").click()
            await expect(page.get_by_role("heading", name="Fails")).to_be_visible()
            gpu = next(id for id, name in names.items() if name == "gpu-01")
            await server.http.post(f"/api/desktops/{gpu}/stop")
            stopped = told(page).filter(has_text="gpu-01 taken out of service")
            await stopped.get_by_role("link").click()
            await expect(page).to_have_url(f"{server.url}/desktops/{gpu}")

            # Filters look in the past, too.
            kind = page.get_by_role("combobox", name="Kind of activity")
            await kind.select_option("desktop")
            await expect(told(page).filter(has_text="Demo desktop is running").first).to_be_attached()
            await expect(told(page).filter(has_text="Fails")).to_have_count(0)
            await page.get_by_role("combobox", name="Desktop of activity").select_option(gpu)
            await expect(told(page).filter(has_text="Demo desktop")).to_have_count(0)
            await expect(told(page).last).to_contain_text("taken out of service")
            await kind.select_option("approval")
            await expect(page.get_by_text("Nothing of this kind yet.")).to_be_visible()
            await kind.select_option("")
            await page.get_by_role("combobox", name="Desktop of activity").select_option("")

            # Held back while somebody reads, and told when they go on.
            await expect(told(page).last).to_contain_text("taken out of service")
            await page.get_by_role("button", name="Pause", exact=True).click()
            held = await server.run("echo held back", title="Held back")
            await server.ended(held["id"])
            pill = page.get_by_role("button", name=re.compile(r"^Paused · [3-9] new events"))
            await expect(pill).to_be_visible()
            await expect(told(page).last).to_contain_text("taken out of service")
            await pill.click()
            await expect(told(page).last).to_contain_text("Held back done")
            await page.get_by_role("button", name="Newest on top").click()
            await expect(told(page).first).to_contain_text("Held back done")


async def test_what_the_panel_shows_is_remembered_until_its_desktop_is_gone(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        desktops = await make_fleet(server)
        names = {one["name"]: one["id"] for one in (await server.http.get("/api/desktops")).json()}
        await many(server, desktops, 1)
        async with signed_in(browser, server.link) as page:
            await page.keyboard.press("]")
            kind = page.get_by_role("combobox", name="Kind of activity")
            desktop = page.get_by_role("combobox", name="Desktop of activity")
            await expect(told(page).filter(has_text="echo 0")).to_be_visible()
            await kind.select_option("desktop")
            await desktop.select_option(names["gpu-01"])
            await expect(told(page).filter(has_text="echo 0")).to_have_count(0)

            await page.reload()
            await expect(kind).to_have_value("desktop")
            await expect(desktop).to_have_value(names["gpu-01"])
            await expect(told(page).filter(has_text="gpu-01 added")).to_be_visible()
            await expect(told(page).filter(has_text="Demo desktop added")).to_have_count(0)

            (await server.http.delete(f"/api/desktops/{names['gpu-01']}")).raise_for_status()
            await expect(desktop).to_have_value("")
            await expect(told(page).filter(has_text="Demo desktop added")).to_be_visible()
            await page.reload()
            await expect(desktop).to_have_value("")
            await expect(kind).to_have_value("desktop")
            await expect(told(page).filter(has_text="Demo desktop added")).to_be_visible()
            await expect(told(page).filter(has_text="echo 0")).to_have_count(0)


async def test_scrolling_back_reads_the_past_and_stays_where_one_reads(tmp_path: Path):
    data = tmp_path / "data"
    async with open_browser() as browser:
        async with open_server(data) as server:
            desktop = (await server.desktop())["id"]
            key = server.http.headers["x-api-key"]
        await add_history(data, desktop, 200)
        async with open_server(data, key=key) as server:
            await server.desktop()
            async with signed_in(browser, await server.another_link()) as page:
                await page.keyboard.press("]")
                log = page.get_by_role("log", name="Events")
                await expect(told(page).last).to_be_visible()
                first = told(page).filter(has_text="Demo desktop added")
                await log.hover()
                while not await first.count():  # each time one comes to the top, what was read stays in sight
                    await expect(told(page).filter(has_text=re.compile(r"\bTask 0\w+"))).to_have_count(0)  # all named
                    words = " ".join((await told(page).first.locator("p").first.text_content() or "").split())
                    await page.mouse.wheel(0, -20_000)
                    await expect(told(page).first).not_to_contain_text(words)
                    await expect(told(page).filter(has_text=words)).to_be_in_viewport()
                await first.scroll_into_view_if_needed()
                await expect(first).to_be_in_viewport()
                # What happens meanwhile is counted, and does not move what is read.
                before = await first.bounding_box()
                ended = await server.run("echo now", title="Now")
                await server.ended(ended["id"])
                pill = page.get_by_role("button", name=re.compile(r"^\d+\s+new ↓"))
                await expect(pill).to_be_visible()
                assert await first.bounding_box() == before
                await pill.click()
                await expect(told(page).last).to_be_in_viewport()
                await expect(told(page).last).to_contain_text("Now done")
