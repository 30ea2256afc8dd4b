"""What happens is on every screen at once, in one order, and whoever was away misses nothing."""

import re
from pathlib import Path

from playwright.async_api import Page, expect

from tests.browser.signing_in import signed_in
from tests.support.browser import LOST, open_browser
from tests.support.history import add_history
from tests.support.server_process import ServerProcess, open_server
from tests.support.waiting import until

DAY_SECONDS = 86_400
CLOCK_IS_WRONG = """(() => {{
  const Right = Date;
  const now = () => Right.now() + {seconds} * 1000;
  globalThis.Date = class extends Right {{
    constructor(...facts) {{ if (facts.length) super(...facts); else super(now()); }}
    static now() {{ return now(); }}
  }};
}})()"""
# A message stands for seconds only, and the test may be elsewhere in them.
REMEMBERS_WHAT_IT_SAID = """() => {
  window.said = [];
  new MutationObserver(() => {
    for (const status of document.querySelectorAll('[role=status]')) {
      const text = status.innerText.replace(/\\s+/g, ' ').trim();
      if (text && window.said.at(-1) !== text) window.said.push(text);
    }
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


async def live(page: Page) -> None:
    """Until the page says that it is current."""
    await expect(page.get_by_label("Connection: Live")).to_be_visible(timeout=30_000)


async def activity(page: Page) -> list[str]:
    """What the activity panel tells, in its order, without its times."""
    log = page.get_by_role("log", name="Events")
    return [text.strip() for text in await log.locator("li p:first-child").all_inner_texts()]


async def cards(page: Page) -> list[list[str]]:
    """The ids of the board's cards, column by column, in their order."""
    columns = page.get_by_role("main").get_by_role("region")
    return await columns.evaluate_all(
        "all => all.map(column => [...column.querySelectorAll('[data-card]')].map(card => card.dataset.card))"
    )


async def assert_shows_the_log(page: Page, server: ServerProcess) -> None:
    """Every column's count is what the server says."""
    for status in ("pending", "running", "review", "done", "failed", "cancelled"):
        query = f"/api/mission-control/tasks?status={status}&limit=1"
        total = int((await server.http.get(query)).headers["mission-control-total"])
        column = page.get_by_role("region", name=re.compile(f"^{status}", re.IGNORECASE))
        await expect(column.get_by_title(f"{total:,} task{'' if total == 1 else 's'}", exact=True)).to_be_visible()


async def test_two_browsers_tell_the_same_in_the_same_order(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        second = await server.another_link()
        async with signed_in(browser, server.link) as one, signed_in(browser, second) as other:
            for page in (one, other):
                await page.keyboard.press("]")
            ends = ("exit 0", "exit 1", "sleep 1000")
            made = [await server.run(ends[number % 3], title=f"Task {number}") for number in range(12)]
            for task in made[2::3]:
                await server.http.post(f"/api/mission-control/tasks/{task['id']}/cancel?wait=20")
            for task in made:
                await server.ended(task["id"])
            for page in (one, other):
                await assert_shows_the_log(page, server)

            async def told_alike() -> bool:
                first, second = await activity(one), await activity(other)
                return first == second and all(any(end in line for line in first) for end in ("done", "cancelled"))

            await until(told_alike, "the same activity on both")
            shown = await cards(one)
            assert shown == await cards(other)
            assert sorted(id for ids in shown for id in ids) == sorted(task["id"] for task in made)


async def test_a_page_that_was_away_for_days_shows_what_the_log_has(tmp_path: Path):
    data = tmp_path / "data"
    async with open_browser() as browser:
        async with open_server(data) as server:
            desktop = (await server.desktop())["id"]
            waiting = await server.run("echo decide", title="Decided while away", requiresApproval=True)
            await server.ended(waiting["id"])
            port, key = int(server.url.rpartition(":")[2]), server.http.headers["x-api-key"]
            async with signed_in(browser, server.link, provoked=LOST) as page:
                await live(page)
                await page.evaluate("window.sameDocument = true")
                await page.evaluate(REMEMBERS_WHAT_IT_SAID)
                server.kill()
                await expect(page.get_by_text("Connection lost")).to_be_visible()
                missed = await add_history(data, desktop, 1_500)
                async with open_server(data, port=port, key=key) as again:
                    review = f"/api/mission-control/tasks/{waiting['id']}/review"
                    (await again.http.post(review, json={"decision": "approve"})).raise_for_status()
                    back = "() => window.said.some(text => /^Back\\. 6,0\\d\\d events caught up/.test(text))"
                    await page.wait_for_function(back, timeout=30_000)
                    assert missed == 6_000
                    await expect(page.get_by_text("make part-1499")).to_be_visible()
                    await expect(page.get_by_text("Decided while away")).to_be_visible()
                    await assert_shows_the_log(page, again)
                    assert await page.evaluate("window.sameDocument"), "without a reload"


async def test_a_page_that_was_away_for_a_moment_is_given_each_event(tmp_path: Path):
    data = tmp_path / "data"
    async with open_browser() as browser:
        async with open_server(data) as server:
            desktop = (await server.desktop())["id"]
            port, key = int(server.url.rpartition(":")[2]), server.http.headers["x-api-key"]
            async with signed_in(browser, server.link, provoked=LOST) as page:
                await live(page)
                server.kill()
                await expect(page.get_by_text("Connection lost")).to_be_visible()
                await add_history(data, desktop, 500)
                async with open_server(data, port=port, key=key) as again:
                    await expect(page.get_by_text("make part-499")).to_be_visible(timeout=30_000)
                    await live(page)
                    await assert_shows_the_log(page, again)


async def test_a_browser_whose_clock_is_a_day_off_shows_right_ages(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        task = await server.run("echo one line; sleep 60", title="Ticks")
        for days in (-1, 1):
            async with signed_in(browser, await server.another_link()) as page:
                await page.add_init_script(CLOCK_IS_WRONG.format(seconds=days * DAY_SECONDS))
                await page.goto(server.url)
                card = page.get_by_role("listitem", name="Ticks")
                await expect(card).to_contain_text(re.compile(r"\b[01]:[0-5][0-9]\b"))
                await expect(card).not_to_contain_text("23:")
                await page.get_by_role("button", name="Show activity").click()
                log = page.get_by_role("log", name="Events")
                await expect(log.get_by_role("link", name="Ticks").first).to_be_attached()
                # Each line has its time; a day is named only where it is another than today.
                await expect(log.locator("li").filter(has_not=page.locator("time"))).to_have_count(0)
                await page.goto(f"{server.url}/tasks/{task['id']}")
                await expect(page.get_by_text(re.compile(r"Last line \d\d? s ago"))).to_be_visible()
                await page.goto(f"{server.url}/search?since=1h")
                await expect(page.get_by_role("list", name="Results").get_by_role("listitem")).to_have_count(1)
                await live(page)
