"""Everybody can use it: with a keyboard only, with a screen reader, at any size, in any contrast."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.axe import violations
from tests.browser.screenshots import give_work
from tests.browser.signing_in import signed_in
from tests.support.browser import DESKTOP, PHONE, open_browser, open_page
from tests.support.server_process import ServerProcess, open_server

NARROW = (360, 740)
ZOOMED = (320, 256)  # a window of 1280 x 1024 at 400 %

Scheme = Literal["light", "dark"]
Opening = Callable[[Page], Awaitable[object]]


def press(keys: str, name: str, role: Literal["dialog", "menu"] = "dialog") -> Opening:
    """Opens something by its keys."""

    async def opening(page: Page) -> None:
        for key in keys.split(" "):
            await page.keyboard.press(key)
        await page.get_by_role(role, name=re.compile(name)).wait_for()

    return opening


async def _first_card(page: Page) -> None:
    await page.get_by_role("region", name=re.compile("^Pending")).get_by_role("link").first.wait_for()
    await page.keyboard.press("j")


async def _menu(page: Page) -> None:
    await _first_card(page)
    await press(".", "Actions for", "menu")(page)


async def _selection(page: Page) -> None:
    await _first_card(page)
    await page.keyboard.press("x")
    await page.get_by_role("toolbar", name="Selected tasks").wait_for()


async def _reject(page: Page) -> None:
    await page.get_by_role("button", name=re.compile("^Reject")).first.click()
    await page.get_by_role("textbox", name="Feedback").wait_for()


async def _add_desktop(page: Page) -> None:
    await page.get_by_role("button", name=re.compile("^Add")).first.click()
    await page.get_by_role("dialog").wait_for()


async def _command_form(page: Page) -> None:
    await press("n", "New task")(page)
    await page.get_by_role("radio", name="Command").click()


async def _activity(page: Page) -> None:
    await page.get_by_role("button", name="Show activity").click()
    await page.get_by_role("complementary", name="Activity").wait_for()


def screens(ids: dict[str, str]) -> list[tuple[str, str, Opening | None]]:
    """What one can come to see: its name, its address, and what opens it there."""
    return [
        ("board", "/?column=pending", None),
        ("card's menu", "/?column=pending", _menu),
        ("selection", "/?column=pending", _selection),
        ("new prompt", "/", press("n", "New task")),
        ("new command", "/", _command_form),
        ("all keys", "/", press("?", "Keyboard")),
        ("palette", "/", press("Control+k", "Go to")),
        ("activity", "/", _activity),
        ("command", f"/tasks/{ids['build']}", None),
        ("failed command", f"/tasks/{ids['tests']}", None),
        ("prompt", f"/tasks/{ids['report']}", None),
        ("reject form", f"/tasks/{ids['report']}", _reject),
        ("approvals", "/approvals", None),
        ("an approval", f"/approvals/{ids['report']}", None),
        ("desktops", "/desktops", None),
        ("add desktop", "/desktops", _add_desktop),
        ("desktop", f"/desktops/{ids['desktop']}", None),
        ("overview", "/overview", None),
        ("batches", "/batches", None),
        ("batch", f"/batches/{ids['batch']}", None),
        ("search", "/search", None),
        ("nothing found", "/search?q=no-task-has-this", None),
        ("settings", "/settings", None),
        ("API", "/reference#createTask", None),
        ("no such page", "/no/such/page", None),
    ]


async def goes_to(page: Page, url: str, opening: Opening | None) -> None:
    """Shows a screen, with what is opened on it."""
    await page.goto(url)
    await page.get_by_role("button", name="New Task").first.wait_for()
    await expect(page.locator("[aria-busy='true']")).to_have_count(0)
    if opening:
        await opening(page)


async def check_screens(browser: Browser, server: ServerProcess, size: tuple[int, int], scheme: Scheme) -> list[str]:
    """What axe finds on all screens in one size and theme."""
    ids = await give_work(server)
    ids["desktop"] = (await server.desktop())["id"]
    found: list[str] = []
    async with open_page(browser, server.url, size=size, scheme=scheme, may_complain=True) as (page, _):
        await page.get_by_role("button", name="Sign in").wait_for()
        found += [f"sign-in: {one}" for one in await violations(page)]
    async with signed_in(browser, server.link, size=size, scheme=scheme) as page:
        for name, path, opening in screens(ids):
            await goes_to(page, server.url + path, opening)
            found += [f"{name}: {one}" for one in await violations(page)]
    return found


@pytest.mark.parametrize("size", [DESKTOP, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_on_any_screen_or_dialog(scheme: Scheme, size: tuple[int, int], tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        found = await check_screens(browser, server, size, scheme)
        assert not found, "\n".join(found)


FOCUSED = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const outlines = [element, element.parentElement, element.closest('label')]
    .filter(Boolean)
    .flatMap((one) => [null, '::before', '::after'].map((part) => getComputedStyle(one, part)))
    .map((style) => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0);
  // The output draws its ring above its line numbers.
  const frame = element.closest('.output-frame');
  outlines.push(frame && getComputedStyle(frame, '::after').content !== 'none');
  element.tabPlace ??= (window.tabPlaces = (window.tabPlaces ?? 0) + 1);
  return { place: element.tabPlace, isVisible: outlines.some(Boolean), html: element.outerHTML.slice(0, 160) };
}"""
TABS_MAX = 150


async def walk(page: Page) -> list[str]:
    """Goes through everything with Tab until it comes round; what is wrong on the way."""
    await page.evaluate("document.activeElement?.blur()")
    wrong: list[str] = []
    seen: set[int] = set()
    for _ in range(TABS_MAX):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(FOCUSED)
        if focused is None or (focused["place"] in seen and len(seen) > 1 and focused["place"] == min(seen)):
            return wrong
        if focused["place"] in seen:
            return [*wrong, f"a trap at {focused['html']}"]
        seen.add(focused["place"])
        if not focused["isVisible"]:
            wrong.append(f"the focus does not show on {focused['html']}")
    return [*wrong, "there is no end to it"]


async def test_tab_goes_through_every_screen_and_out_again_and_the_focus_shows(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        ids = await give_work(server)
        ids["desktop"] = (await server.desktop())["id"]
        found: list[str] = []
        async with signed_in(browser, server.link) as page:
            for name, path, opening in screens(ids):
                if opening is None:
                    await goes_to(page, server.url + path, None)
                    found += [f"{name}: {one}" for one in await walk(page)]
        assert not found, "\n".join(found)


async def test_the_focus_goes_back_where_a_dialog_came_from(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await give_work(server)
        async with signed_in(browser, server.link) as page:
            for name in ("New Task", "Keyboard shortcuts", "Find or do"):
                button = page.get_by_role("button", name=name).first
                await button.focus()
                await page.keyboard.press("Enter")
                await expect(page.get_by_role("dialog")).to_be_visible()
                await page.keyboard.press("Escape")
                await expect(page.get_by_role("dialog")).to_be_hidden()
                await expect(button).to_be_focused()
            await _first_card(page)
            card = page.locator("[data-card] [data-open]:focus")
            await expect(card).to_have_count(1)
            for keys in ("n", "Control+k", ".", "m"):
                await page.keyboard.press(keys)
                opened = page.get_by_role("dialog").or_(page.get_by_role("menu"))
                await expect(opened).to_be_visible()
                await page.keyboard.press("Escape")
                await expect(opened).to_be_hidden()
                await expect(card).to_have_count(1)


async def test_the_main_job_needs_no_mouse(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        async with signed_in(browser, server.link) as page:
            keys = page.keyboard
            await keys.press("n")
            dialog = page.get_by_role("dialog", name="New task")
            await dialog.get_by_role("radio", name="Prompt").focus()
            await keys.press("ArrowRight")
            await expect(dialog.get_by_role("radio", name="Command")).to_be_checked()
            await keys.press("Tab")
            await keys.type("echo made by keys")
            approval = dialog.get_by_role("switch", name="Requires Approval")
            while not await approval.evaluate("(element) => element === document.activeElement"):
                await keys.press("Tab")
            await keys.press("Space")
            await expect(dialog.get_by_role("textbox", name="Command")).to_have_value("echo made by keys")
            await expect(dialog).to_match_aria_snapshot("""
                - dialog "New task":
                  - banner:
                    - heading "New task" [level=2]
                  - form "New task":
                    - radiogroup "Task type":
                      - radio "Prompt"
                      - radio "Command" [checked]
                    - textbox "Command"
                    - combobox "Desktop"
                    - switch "Requires Approval" [checked]
                  - contentinfo:
                    - button "Create"
                    - button "Create and run"
            """)
            await keys.press("Control+Enter")
            await expect(dialog).to_be_hidden()
            review = page.get_by_role("region", name=re.compile("^Review"))
            await expect(review.get_by_role("link", name="echo made by keys")).to_be_visible()
            await keys.press("j")
            await keys.press("Enter")
            await expect(page.get_by_role("region", name="Output")).to_contain_text("made by keys")
            said = page.get_by_role("status").filter(has_text="echo made by keys")
            await expect(said).to_have_text("echo made by keys: Review")
            for key in ("g", "a"):
                await keys.press(key)
            await expect(page.get_by_role("heading", name="Approvals")).to_be_visible()
            await expect(page.get_by_role("navigation", name="Waiting for a decision")).to_match_aria_snapshot("""
                - navigation "Waiting for a decision":
                  - heading "1 approval"
                  - list:
                    - listitem
            """)
            await keys.press("Shift+R")
            await expect(page.get_by_role("textbox", name="Feedback")).to_be_focused()
            await keys.type("Say it twice")
            await keys.press("Control+Enter")
            await keys.press("g")
            await keys.press("b")
            pending = page.get_by_role("region", name=re.compile("^Pending"))
            failed = page.get_by_role("region", name=re.compile("^Failed"))
            await expect(failed.get_by_text("Say it twice")).to_be_visible()
            await expect(pending.get_by_role("link", name="echo made by keys")).to_be_visible()
            await expect(failed.get_by_role("link", name="echo made by keys")).to_be_focused()  # where the keys were
            await keys.press("h")
            await keys.press("r")
            await expect(review.get_by_role("link", name="echo made by keys")).to_be_visible()
            await review.get_by_role("link", name="echo made by keys").focus()
            await keys.press("Enter")
            await expect(said).to_have_text("echo made by keys: Review")
            await expect(page.get_by_role("region", name="Output")).to_contain_text("made by keys")  # its page is here
            await keys.press("a")
            await expect(said).to_have_text("echo made by keys: Done")
        statuses = [task["status"] for task in (await server.http.get("/api/mission-control/tasks")).json()]
        assert sorted(statuses) == ["done", "failed"]


BEYOND_THE_EDGE = """() => {
  const isReachable = (element) => {
    for (let parent = element.parentElement; parent; parent = parent.parentElement) {
      const { overflowX, textOverflow } = getComputedStyle(parent);
      const isSaid = overflowX === 'auto' || overflowX === 'scroll' || textOverflow === 'ellipsis';
      if (isSaid && parent.getBoundingClientRect().right <= innerWidth + 1) return true;
    }
    return false;
  };
  return [...document.querySelectorAll('body *')]
    .filter((element) => element.checkVisibility() && !element.closest('.sr-only'))
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1 && !isReachable(element))
    .map((element) => element.outerHTML.slice(0, 160));
}"""


async def test_at_four_times_the_size_nothing_lies_beyond_the_edge(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        ids = await give_work(server)
        ids["desktop"] = (await server.desktop())["id"]
        long = {"title": "A sentence that says what is wanted. " * 4, "labels": ["l" * 60], "requiresApproval": True}
        ids["report"] = (await server.run("Give me a system report", "prompt", **long))["id"]
        await server.ended(ids["report"])
        found: list[str] = []
        async with signed_in(browser, server.link, size=ZOOMED) as page:
            for name, path, opening in screens(ids):
                await goes_to(page, server.url + path, opening)
                found += [f"{name}: {one}" for one in await page.evaluate(BEYOND_THE_EDGE)]
        assert not found, "\n".join(found)


# What a finger would hit 21 px off the middle of each thing that can be tapped. A link in a line of text may be smaller
# (WCAG 2.5.8), and so may what lies in something larger that does the same.
SMALL_TARGETS = """() => {
  const targets = 'a[href], button, input, select, textarea, summary, [role=option], [role=menuitem], [role=tab]';
  const small = [];
  for (const element of document.querySelectorAll(targets)) {
    const isShown = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    const isOut = element.closest('[inert], .sr-only, [tabindex="-1"]') !== null;
    if (!isShown || isOut || getComputedStyle(element).display === 'inline') continue;
    element.scrollIntoView({ block: 'center', inline: 'center' });
    const { left, top, width, height } = element.getBoundingClientRect();
    if (width <= 1 || left < 0 || left + width > innerWidth) continue;
    const hits = (dx, dy) => {
      const [x, y] = [left + width / 2 + dx, top + height / 2 + dy];
      if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) return true;
      const hit = document.elementFromPoint(x, y);
      const labels = [...(element.labels ?? [])];
      return hit && (element.contains(hit) || labels.some((label) => label.contains(hit)));
    };
    const [right, leftEdge, down, up] = [hits(21, 0), hits(-21, 0), hits(0, 21), hits(0, -21)];
    const isWide = width >= 43.5 || (right && leftEdge);
    const isTall = height >= 43.5 || (down && up);
    if (!isWide || !isTall)
      small.push(`${Math.round(width)} x ${Math.round(height)}: ${element.outerHTML.slice(0, 140)}`);
  }
  return small;
}"""


async def test_fingers_hit_what_they_mean_on_a_phone(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        ids = await give_work(server)
        ids["desktop"] = (await server.desktop())["id"]
        found: dict[str, str] = {}
        async with signed_in(browser, server.link, size=PHONE, touch=True) as page:
            for name, path, opening in screens(ids):
                await goes_to(page, server.url + path, opening)
                found |= {re.sub(r"\d", "0", one): name for one in await page.evaluate(SMALL_TARGETS)}
        assert not found, "\n".join(f"{name}: {one}" for one, name in found.items())


@pytest.mark.parametrize("preference", ["forced-colors", "contrast"])
async def test_forced_colours_and_more_contrast_leave_nothing_unreadable(preference: str, tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        ids = await give_work(server)
        ids["desktop"] = (await server.desktop())["id"]
        found: list[str] = []
        async with signed_in(browser, server.link) as page:
            if preference == "contrast":
                await page.emulate_media(contrast="more")
            else:
                await page.emulate_media(forced_colors="active")
            for name, path, opening in screens(ids):
                await goes_to(page, server.url + path, opening)
                found += [f"{name}: {one}" for one in await violations(page)]
        assert not found, "\n".join(found)
