"""The mission, as a person does it in a browser: create, run, watch, approve, reject."""

import re
from pathlib import Path

import anyio
import httpx2
from playwright.async_api import Page, expect

from tests.browser.signing_in import signed_in
from tests.support.browser import LOST, open_browser
from tests.support.server_process import ServerProcess, open_server


async def create(page: Page, type: str, content: str, *, approval: bool = False, run: bool = False) -> None:
    """New Task → Prompt or Command → content → desktop → Requires Approval → Create."""
    await page.get_by_role("button", name="New Task").first.click()
    dialog = page.get_by_role("dialog", name="New task")
    await dialog.get_by_role("radio", name=type).click()
    await dialog.get_by_role("textbox", name=type).fill(content)
    if approval:
        await dialog.get_by_role("switch", name="Requires Approval").click()
    await dialog.get_by_role("button", name="Create and run" if run else "Create", exact=not run).click()
    await expect(dialog).to_be_hidden()


def column(page: Page, name: str):
    """A column of the board."""
    return page.get_by_role("region", name=re.compile(f"^{name}"))


async def test_a_prompt_is_created_run_watched_and_approved(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        async with signed_in(browser, server.link) as page:
            await create(page, "Prompt", "Give me a system report", approval=True)
            pending = column(page, "Pending").get_by_text("Give me a system report")
            await expect(pending).to_be_visible()
            await pending.click()
            await page.get_by_role("button", name=re.compile("^Run")).click()
            await expect(page.get_by_text("System report", exact=True)).to_be_visible()
            await page.get_by_role("button", name=re.compile("^Approve")).click()
            await expect(page.get_by_text("Done").first).to_be_visible()
            await page.get_by_role("link", name="Board").first.click()
            await expect(column(page, "Done").get_by_text("Give me a system report")).to_be_visible()


async def test_a_command_is_watched_line_by_line_and_rejected_with_feedback(tmp_path: Path):
    gate = tmp_path / "gate"
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        async with signed_in(browser, server.link) as page:
            content = f"echo first line; until [ -e {gate} ]; do sleep 0.05; done; echo second line"
            await create(page, "Command", content, approval=True)
            await column(page, "Pending").get_by_text("echo first line").first.click()
            await page.get_by_role("button", name=re.compile("^Run")).click()
            output = page.get_by_role("region", name="Output")
            await expect(output.get_by_text("first line", exact=True)).to_be_visible()
            await expect(output.get_by_text("second line", exact=True)).to_be_hidden()
            gate.touch()
            await expect(output.get_by_text("second line", exact=True)).to_be_visible()
            await page.get_by_role("button", name=re.compile("^Reject")).first.click()
            await page.get_by_role("textbox", name="Feedback").fill("Say it in one line")
            await page.get_by_role("button", name=re.compile("^Reject$")).last.click()
            await expect(page.get_by_text("Say it in one line").first).to_be_visible()
            await page.get_by_role("link", name="Board").first.click()
            await expect(column(page, "Failed").get_by_text("echo first line").first).to_be_visible()
        task = (await server.http.get("/api/mission-control/tasks")).json()[0]
        assert (task["status"], task["feedback"]) == ("failed", "Say it in one line")


async def test_several_selected_tasks_run_together(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        async with signed_in(browser, server.link) as page:
            for name in ("one", "two", "three"):
                await create(page, "Command", f"echo {name}")
            pending = column(page, "Pending")
            await expect(pending.get_by_text("echo three")).to_be_visible()
            for _ in range(3):
                await page.keyboard.press("j")
                await page.keyboard.press("x")
            selected = page.get_by_role("toolbar", name="Selected tasks")
            await selected.get_by_role("button", name=re.compile("^Run")).click()
            for name in ("one", "two", "three"):
                await expect(column(page, "Done").get_by_text(f"echo {name}")).to_be_visible()


async def test_a_page_that_was_offline_shows_exactly_what_it_missed(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        gate = tmp_path / "gate"
        task = await server.run(
            f"seq 1 50; until [ -e {gate} ]; do sleep 0.05; done; seq 51 120; sleep 0.1; echo the end"
        )
        async with signed_in(browser, server.link, provoked=LOST) as page:
            await page.goto(f"{server.url}/tasks/{task['id']}")
            output = page.get_by_role("region", name="Output")
            await expect(output.get_by_text("50", exact=True).last).to_be_visible()
            await page.context.set_offline(True)
            await expect(page.get_by_text(re.compile("Connection lost|Offline", re.IGNORECASE)).first).to_be_visible(
                timeout=20_000
            )
            gate.touch()
            assert (await server.ended(task["id"]))["status"] == "done"
            await page.context.set_offline(False)
            await expect(output.get_by_text("the end", exact=True)).to_be_visible()
            await expect(page.get_by_text("121 lines")).to_be_visible()
            await page.get_by_role("link", name="Board").first.click()
            await expect(column(page, "Done").get_by_text("seq 1 50").first).to_be_visible()


async def test_a_killed_and_restarted_server_is_said_and_resumed_without_reload(tmp_path: Path):
    data_dir = tmp_path / "data"
    async with open_browser() as browser:
        async with open_server(data_dir) as server:
            await server.desktop()
            port = int(server.url.rpartition(":")[2])
            async with signed_in(browser, server.link, provoked=LOST) as page:
                await page.evaluate("window.sameDocument = true")
                server.kill()
                lost = page.get_by_text(re.compile("Connection lost", re.IGNORECASE)).first
                await expect(lost).to_be_visible()
                async with open_server(data_dir, port=port) as again:
                    await _create_by_script(again, "echo while the page was waiting")
                    shown = column(page, "Done").get_by_text("echo while the page was waiting")
                    await expect(shown).to_be_visible(timeout=30_000)
                    await expect(lost).to_be_hidden()
                    assert await page.evaluate("window.sameDocument"), "without a reload"


async def _create_by_script(server: ServerProcess, content: str) -> None:
    task = await server.run(content)
    with anyio.fail_after(30):
        assert (await server.ended(task["id"]))["status"] == "done"


async def test_a_stranger_is_asked_to_sign_in_and_a_wrong_key_says_so(tmp_path: Path):
    async with open_server(tmp_path / "data", demo=False) as server, open_browser() as browser:
        page = await browser.new_page()
        await page.goto(server.url)
        await page.get_by_label(re.compile("key", re.IGNORECASE)).first.fill("mc_k_wrong")
        await page.get_by_role("button", name=re.compile("Sign in")).click()
        await expect(page.get_by_role("alert").first).to_be_visible()
        async with httpx2.AsyncClient(base_url=server.url) as http:
            assert (await http.get("/api/mission-control/tasks")).status_code == 401
