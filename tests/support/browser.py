"""Debian's Chromium, driven as a person would, with everything that the page complained about kept for the test."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, ConsoleMessage, Error, Page, Request, Response, async_playwright, expect

CHROMIUM = Path("/usr/bin/chromium")
DEADLINE_MS = 20_000  # of one step and of one expectation; far above what any takes, on a loaded machine too
expect.set_options(timeout=DEADLINE_MS)

# Without them Chromium asks its maker's hosts for updates at every start, which is noise and waits without a network.
FLAGS = (
    "--no-sandbox",  # as root; the pages are ours
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # containers give it 64 MiB
)

LOST = ("net::ERR_", "WebSocket", "Failed to load resource", "when fetching the script")
"""What Chromium says on the console when a test takes the connection away."""

DESKTOP = (1280, 800)
PHONE = (390, 844)


@asynccontextmanager
async def open_browser() -> AsyncGenerator[Browser]:
    """A browser of its own, ended with everything in it."""
    assert CHROMIUM.exists(), "these tests need Debian's chromium: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


class Complaints:
    """What a page complained about: errors and warnings of its console, uncaught errors, requests that failed."""

    def __init__(self, page: Page) -> None:
        self.seen: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", self._error)
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.seen.append(f"console {message.type}: {message.text}")

    def _error(self, error: Error) -> None:
        self.seen.append(f"uncaught: {error.message}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page itself no longer wanted it
            self.seen.append(f"request failed: {request.method} {request.url} {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 500:
            self.seen.append(f"answered {response.status}: {response.request.method} {response.url}")

    def forget(self, *parts: str) -> None:
        """Leave out those that contain one of these texts, because the test provoked them."""
        self.seen = [one for one in self.seen if not any(part in one for part in parts)]

    def assert_none(self) -> None:
        assert self.seen == [], "the page complained:\n" + "\n".join(self.seen)


@asynccontextmanager
async def open_page(
    browser: Browser,
    url: str | None = None,
    *,
    size: tuple[int, int] = DESKTOP,
    scheme: Literal["light", "dark"] = "light",
    touch: bool = False,
    may_complain: bool = False,
) -> AsyncGenerator[tuple[Page, Complaints]]:
    """A page in a fresh profile: no cookies, no storage. A page that complained fails the test at the end.

    Cross-checks that a test makes inside the block come first; `complaints.forget()` drops what it provoked.
    """
    width, height = size
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        reduced_motion="reduce",
        has_touch=touch,
        is_mobile=touch,
    )
    context.set_default_timeout(DEADLINE_MS)
    try:
        page = await context.new_page()
        complaints = Complaints(page)
        if url is not None:
            await page.goto(url)
        yield page, complaints
        if not may_complain:
            complaints.assert_none()
    finally:
        await context.close()
