"""A page of somebody who is signed in."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal

from playwright.async_api import Browser, Page

from tests.support.browser import DESKTOP, open_page


@asynccontextmanager
async def signed_in(
    browser: Browser,
    link: str,
    *,
    size: tuple[int, int] = DESKTOP,
    scheme: Literal["light", "dark"] = "light",
    touch: bool = False,
    provoked: tuple[str, ...] = (),
) -> AsyncGenerator[Page]:
    """A page that came in by a one-time link. It may complain about nothing but what the test provoked: an error on
    the console is also how a page says that its content security policy had to stop something."""
    async with open_page(browser, link, size=size, scheme=scheme, touch=touch) as (page, complaints):
        await page.get_by_role("button", name="New Task").first.wait_for()
        yield page
        complaints.forget(*provoked)
