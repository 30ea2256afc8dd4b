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
from tests.support.browser import DESKTOP, open_browser, open_page
from tests.support.server_process import ServerProcess, open_server

NARROW = (360, 740)

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
        ("an approval", f"/approvals?task={ids['report']}", None),
        ("desktops", "/desktops", None),
        ("add desktop", "/desktops", _add_desktop),
        ("desktop", f"/desktops/{ids['desktop']}", None),
        ("settings", "/settings", None),
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
