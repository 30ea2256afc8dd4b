"""The board, as people use it: filters in the address, moves with reasons, many at once, and nothing that jumps."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.signing_in import signed_in
from tests.support.browser import open_browser
from tests.support.server_process import ServerProcess, open_server


def column(page: Page, name: str) -> Locator:
    """A column of the board."""
    return page.get_by_role("region", name=re.compile(f"^{name}"))


def card(page: Page, name: str, title: str) -> Locator:
    """A card in a column."""
    return column(page, name).get_by_role("listitem", name=title)


async def pending(server: ServerProcess, content: str, **facts: object) -> str:
    """A task that waits; its id."""
    desktop = (await server.desktop())["id"]
    body = {"type": "command", "content": content, "desktopId": desktop, **facts}
    answer = await server.http.post("/api/mission-control/tasks", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def test_a_filter_is_in_the_address_and_can_be_kept_as_a_view(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await pending(server, "echo nightly", labels=["nightly"])
        await pending(server, "echo other")
        async with signed_in(browser, server.link) as page:
            await page.get_by_label("Filter by label").select_option("nightly")
            await expect(card(page, "Pending", "echo other")).to_be_hidden()
            await expect(card(page, "Pending", "echo nightly")).to_be_visible()
            assert "label=nightly" in page.url
            await page.get_by_role("button", name="Saved views").click()
            await page.get_by_role("menuitem", name="Save this filter").click()
            await page.get_by_role("textbox", name="Name").fill("Nights")
            await page.get_by_role("button", name="Save", exact=True).click()
            await page.get_by_role("button", name="Clear filter").click()
            await expect(card(page, "Pending", "echo other")).to_be_visible()
            await page.reload()
            await page.get_by_role("button", name="Saved views").click()
            await page.get_by_role("menuitem", name="Nights").click()
            await expect(card(page, "Pending", "echo other")).to_be_hidden()
            await expect(card(page, "Pending", "echo nightly")).to_be_visible()


async def test_mine_shows_what_i_made(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await pending(server, "echo by a script")
        async with signed_in(browser, server.link) as page:
            await page.get_by_role("button", name="New Task").first.click()
            dialog = page.get_by_role("dialog", name="New task")
            await dialog.get_by_role("radio", name="Command").click()
            await dialog.get_by_role("textbox", name="Command").fill("echo by me")
            await dialog.get_by_role("button", name="Create", exact=True).click()
            await page.get_by_role("button", name="Mine").click()
            await expect(card(page, "Pending", "echo by me")).to_be_visible()
            await expect(card(page, "Pending", "echo by a script")).to_be_hidden()
            await page.reload()
            await expect(page.get_by_role("button", name="Mine")).to_have_attribute("aria-pressed", "true")
            await expect(card(page, "Pending", "echo by a script")).to_be_hidden()


async def test_a_card_is_dragged_where_its_life_allows_and_the_other_columns_say_why_not(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await pending(server, "echo dragged")
        async with signed_in(browser, server.link) as page:
            dragged = card(page, "Pending", "echo dragged")
            await dragged.hover()
            await page.mouse.down()
            done = await column(page, "Done").bounding_box()
            running = await column(page, "Running").bounding_box()
            assert done and running
            await page.mouse.move(done["x"] + 50, done["y"] + 200, steps=8)
            await expect(column(page, "Running").get_by_text("Run now")).to_be_visible()
            await expect(column(page, "Done").get_by_text("by itself")).to_be_visible()
            await page.mouse.move(running["x"] + 50, running["y"] + 200, steps=8)
            await page.mouse.up()
            await expect(card(page, "Done", "echo dragged")).to_be_visible()


async def test_a_card_is_moved_by_key_and_a_column_that_is_out_of_reach_says_so(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await pending(server, "echo moved")
        async with signed_in(browser, server.link) as page:
            await expect(card(page, "Pending", "echo moved")).to_be_visible()
            await page.keyboard.press("j")
            await page.keyboard.press("m")
            menu = page.get_by_role("menu")
            await expect(menu.get_by_role("menuitem", name="Review")).to_have_attribute("aria-disabled", "true")
            await expect(menu.get_by_role("menuitem", name="Review")).to_have_attribute(
                "title", re.compile("by itself")
            )
            await menu.get_by_role("menuitem", name=re.compile("^Running")).click()
            await expect(card(page, "Done", "echo moved")).to_be_visible()


async def test_a_card_under_the_pointer_does_not_move_when_others_come_in_above_it(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await pending(server, "echo stays")
        async with signed_in(browser, server.link) as page:
            stays = card(page, "Pending", "echo stays")
            await stays.hover()
            before = await stays.bounding_box()
            await pending(server, "echo newer")
            await expect(column(page, "Pending").get_by_text("+1")).to_be_visible()
            assert await stays.bounding_box() == before
            await page.mouse.move(5, 5)
            await expect(card(page, "Pending", "echo newer")).to_be_visible()
            await expect(column(page, "Pending").get_by_text("+1")).to_be_hidden()


WHERE_IT_IS = "card => (({ left, top }) => [left, top])(card.getBoundingClientRect())"
INTO_THE_MIDDLE = f"""async card => {{
    for (let frame = 0; frame < 10; frame++) {{  // its neighbours get their heights when they come into sight
        card.scrollIntoView({{ block: 'center' }});
        await new Promise((resolve) => requestAnimationFrame(resolve));
    }}
    return ({WHERE_IT_IS})(card);
}}"""


async def test_who_comes_back_from_a_task_finds_the_board_as_it_was_left(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        for number in range(70):
            id = await pending(server, f"echo {number}", labels=["long"] * (number % 3 == 0))
            (await server.http.post(f"/api/mission-control/tasks/{id}/cancel")).raise_for_status()
        async with signed_in(browser, server.link, size=(1000, 800)) as page:
            cards = column(page, "Cancelled").get_by_role("listitem")
            await column(page, "Cancelled").get_by_role("button", name="Show more").scroll_into_view_if_needed()
            await expect(cards).to_have_count(70)
            opened = card(page, "Cancelled", "echo 30")
            before = await opened.evaluate(INTO_THE_MIDDLE)
            for back in (page.go_back, lambda: page.keyboard.press("u")):
                await opened.get_by_role("link").click()
                await expect(page.get_by_role("heading", name="Task", exact=True)).to_be_visible()
                await back()
                await expect(opened.get_by_role("link")).to_be_focused()
                await expect(cards).to_have_count(70)
                after = await opened.evaluate(WHERE_IT_IS)
                assert after == pytest.approx(before, abs=2)
            await page.keyboard.press("j")
            await expect(card(page, "Cancelled", "echo 29").get_by_role("link")).to_be_focused()
            await page.get_by_label("Filter by label").select_option("long")
            await expect(card(page, "Cancelled", "echo 29")).to_be_hidden()
            await page.keyboard.press("Escape")
            await page.evaluate("document.activeElement.blur()")
            await page.keyboard.press("g")
            await page.keyboard.press("o")
            await expect(column(page, "Pending")).to_be_hidden()
            await page.keyboard.press("g")
            await page.keyboard.press("b")
            await expect(card(page, "Cancelled", "echo 69")).to_be_attached()
            await expect(column(page, "Pending")).to_be_in_viewport()
            assert await column(page, "Cancelled").get_by_role("list").evaluate("list => list.scrollTop") == 0


async def test_a_running_card_says_its_last_line_when_it_is_in_sight(tmp_path: Path):
    gate = tmp_path / "gate"
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        await server.run(f"echo first; until [ -e {gate} ]; do sleep 0.05; done; echo second; sleep 60", title="talks")
        async with signed_in(browser, server.link, size=(390, 844)) as page:
            await page.goto(f"{server.url}/?column=pending")
            await page.get_by_role("tab", name=re.compile("^Running")).click()
            await expect(card(page, "Running", "talks").get_by_text("first")).to_be_visible()
            gate.touch()
            await expect(card(page, "Running", "talks").get_by_text("second")).to_be_visible()


async def test_what_could_not_be_done_to_some_of_many_is_said_task_by_task(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        (await server.http.post("/api/desktops", json=UNREACHABLE)).raise_for_status()
        await pending(server, "echo works")
        away = next(one for one in (await server.http.get("/api/desktops")).json() if one["name"] == "away")
        body = {"type": "command", "content": "echo cannot", "desktopId": away["id"]}
        (await server.http.post("/api/mission-control/tasks", json=body)).raise_for_status()
        async with signed_in(browser, server.link, provoked=("409",)) as page:
            await expect(card(page, "Pending", "echo cannot")).to_be_visible()
            await page.keyboard.press("j")
            await page.keyboard.press("x")
            await page.keyboard.press("j")
            await page.keyboard.press("x")
            await page.get_by_role("toolbar", name="Selected tasks").get_by_role("button", name="Run").click()
            failed = page.get_by_role("alert").filter(has_text="1 of 2 tasks could not")
            await expect(failed.get_by_role("link", name="echo cannot")).to_be_visible()
            await expect(failed.get_by_text(re.compile("away"))).to_be_visible()
            await expect(card(page, "Done", "echo works")).to_be_visible()
            await failed.get_by_role("button", name="Close").click()
            await expect(failed).to_be_hidden()


UNREACHABLE = {
    "name": "away",
    "ssh": {
        "host": "127.0.0.1",
        "port": 1,
        "username": "nobody",
        "hostKeyFingerprint": "SHA256:" + "a" * 43,
        "auth": {"kind": "password", "password": "unused"},
    },
}


async def test_a_approves_and_r_retries_the_card_that_has_the_focus(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        await server.run("echo looked at", title="looked at", requiresApproval=True)
        async with signed_in(browser, server.link) as page:
            await expect(card(page, "Review", "looked at")).to_be_visible()
            await page.keyboard.press("j")
            await page.keyboard.press("a")
            await expect(card(page, "Done", "looked at")).to_be_visible()
            await card(page, "Done", "looked at").get_by_role("link").focus()
            await page.keyboard.press("r")
            await expect(card(page, "Pending", "looked at")).to_be_visible()


async def test_archiving_a_task_that_has_not_run_or_many_asks_first(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        for number in range(3):
            await pending(server, f"echo {number}")
        async with signed_in(browser, server.link) as page:
            await card(page, "Pending", "echo 0").get_by_role("button", name="Actions").click()
            await page.get_by_role("menuitem", name="Archive").click()
            question = page.get_by_role("dialog", name="Archive this task?")
            await expect(question.get_by_text("“echo 0” has not run and is cancelled.")).to_be_visible()
            await question.get_by_role("button", name="Back").click()
            await expect(question).to_be_hidden()
            await expect(card(page, "Pending", "echo 0")).to_be_visible()
            for number in (1, 2):
                await card(page, "Pending", f"echo {number}").get_by_role("link").focus()
                await page.keyboard.press("x")
            await page.keyboard.press("Control+k")
            await page.get_by_role("option", name="Archive").click()
            question = page.get_by_role("dialog", name="Archive 2 tasks?")
            await question.get_by_role("button", name="Archive tasks").click()
            await expect(card(page, "Pending", "echo 1")).to_be_hidden()
            await expect(card(page, "Pending", "echo 2")).to_be_hidden()
            await expect(card(page, "Pending", "echo 0")).to_be_visible()


async def test_a_viewer_of_an_empty_board_sees_why_it_cannot_be_tried(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        made = await server.http.post("/api/auth/api-keys", json={"name": "watcher", "role": "viewer"})
        page = await browser.new_page()
        await page.goto(server.url)
        await page.get_by_label(re.compile("key", re.IGNORECASE)).first.fill(made.json()["key"])
        await page.get_by_role("button", name=re.compile("Sign in")).click()
        example = page.get_by_role("button", name=re.compile("what is this machine"))
        await expect(example).to_have_attribute("aria-disabled", "true")
        await expect(example).to_have_attribute("title", re.compile("operator"))
        await example.click(force=True)
        await expect(page.get_by_role("dialog")).to_be_hidden()


async def test_a_viewer_sees_why_an_action_is_missing(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await pending(server, "echo looked at")
        made = await server.http.post("/api/auth/api-keys", json={"name": "watcher", "role": "viewer"})
        page = await browser.new_page()
        await page.goto(server.url)
        await page.get_by_label(re.compile("key", re.IGNORECASE)).first.fill(made.json()["key"])
        await page.get_by_role("button", name=re.compile("Sign in")).click()
        run = card(page, "Pending", "echo looked at").get_by_role("button", name="Run")
        await expect(run).to_have_attribute("aria-disabled", "true")
        await expect(run).to_have_attribute("title", re.compile("operator"))
        await expect(page.get_by_role("button", name="New Task").first).to_have_attribute("aria-disabled", "true")


async def test_text_of_any_length_and_script_stays_in_its_card(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        for title in ("مهمة طويلة جدا للاختبار", "🚀" * 60, "W" * 200, "日本語のとても長い題名" * 12):
            await pending(server, "x" * 10_000, title=title, labels=["l" * 60, "🏷️"])
        async with signed_in(browser, server.link, size=(360, 740)) as page:
            await page.get_by_role("tab", name=re.compile("^Pending")).click()
            await expect(card(page, "Pending", "مهمة طويلة جدا للاختبار")).to_be_visible()
            assert await page.evaluate("document.documentElement.scrollWidth") <= 360
            for shown in await column(page, "Pending").get_by_role("listitem").all():
                assert await shown.evaluate("element => element.scrollWidth <= element.clientWidth + 1")
