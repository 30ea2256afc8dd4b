"""Approvals: a queue made for keys, with a way back, and what others decide in sight."""

import re
from pathlib import Path

from playwright.async_api import Page, expect

from tests.browser.signing_in import signed_in
from tests.support.browser import PHONE, open_browser
from tests.support.chat_endpoint import DONE, chunk, open_chat_endpoint, replies, sse, tool_call, usage
from tests.support.server_process import ServerProcess, open_server


async def waiting(server: ServerProcess, *words: str) -> list[str]:
    """Tasks that wait for a decision, oldest first; their ids."""
    ids: list[str] = []
    for word in words:
        task = await server.run(f"echo {word}", title=word, requiresApproval=True)
        assert (await server.ended(task["id"]))["status"] == "review"
        ids.append(task["id"])
    return ids


def queue(page: Page):
    """The list of what waits."""
    return page.get_by_role("navigation", name="Waiting for a decision")


async def test_a_decision_moves_on_to_the_next_and_can_be_taken_back(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        first, second = await waiting(server, "apple", "banana")
        async with signed_in(browser, server.link) as page:
            await page.keyboard.press("g")
            await page.keyboard.press("a")
            await expect(page.get_by_role("heading", name="apple")).to_be_visible()
            await page.keyboard.press("a")
            await expect(page.get_by_role("heading", name="banana")).to_be_visible()
            assert (await server.task(first))["status"] == "review", "it can be taken back"
            await page.get_by_role("button", name="Undo").click()
            await expect(page.get_by_role("heading", name="apple")).to_be_visible()
            await page.keyboard.press("j")
            await expect(page.get_by_role("heading", name="banana")).to_be_visible()
            await page.keyboard.press("r")
            await page.get_by_role("textbox", name="Feedback").fill("Riper, please")
            await page.keyboard.press("Control+Enter")
            await expect(queue(page).get_by_text("banana")).to_be_hidden()
            await expect(page.get_by_role("button", name="Undo")).to_be_hidden()
        task = await server.task(second)
        assert (task["status"], task["feedback"]) == ("failed", "Riper, please")
        assert (await server.task(first))["status"] == "review"


async def test_another_persons_decision_is_seen_at_once_and_nothing_slides_under_the_keys(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        first, second = await waiting(server, "apple", "banana")
        async with signed_in(browser, server.link) as page:
            await page.goto(f"{server.url}/approvals")
            await expect(page.get_by_role("heading", name="apple")).to_be_visible()
            review = {"decision": "approve"}
            (await server.http.post(f"/api/mission-control/tasks/{first}/review", json=review)).raise_for_status()
            await expect(page.get_by_text("Approved by tests").first).to_be_visible()
            await expect(page.get_by_role("heading", name="apple")).to_be_visible()
            await page.keyboard.press("a")
            await expect(page.get_by_role("button", name="Undo")).to_be_hidden()
            await expect(queue(page).get_by_text("approved by tests")).to_be_visible()
            await page.get_by_role("button", name="Next").click()
            await expect(page.get_by_role("heading", name="banana")).to_be_visible()
        assert (await server.task(second))["status"] == "review"


async def test_from_a_link_on_a_phone_one_tap_approves(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        (task,) = await waiting(server, "apple")
        async with signed_in(browser, server.link, size=PHONE) as page:
            await page.goto(f"{server.url}/approvals/{task}")
            approve = page.get_by_role("button", name="Approve", exact=True)
            box = await approve.bounding_box()
            assert box and box["height"] >= 44 and box["y"] > PHONE[1] * 0.6, "within reach of a thumb"
            await approve.click()
            await expect(page.get_by_role("button", name="Undo")).to_be_visible()
            await expect(page.get_by_role("button", name="Undo")).to_be_hidden()
        assert (await server.ended(task))["status"] in ("review", "done")
        async with signed_in(browser, await server.another_link()) as page:
            await page.goto(f"{server.url}/approvals/{task}")
            await expect(page.get_by_text("waits for no decision any more")).to_be_visible()
            await page.get_by_role("button", name="Open the task").click()
            await expect(page.get_by_text("Done").first).to_be_visible()


async def test_a_filtered_board_hides_nothing_from_the_queue(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await waiting(server, "apple")
        async with signed_in(browser, server.link) as page:
            await page.goto(f"{server.url}/?q=nothing-has-this")
            await page.get_by_role("link", name=re.compile("^Approvals")).first.click()
            await expect(queue(page).get_by_text("apple")).to_be_visible()


async def test_what_an_agent_changed_and_used_is_there_to_decide(tmp_path: Path):
    calls = [
        tool_call(0, "a", "write_file", '{"path": "src/login.py", "content": "…"}'),
        tool_call(1, "b", "read_file", '{"path": "README.md"}'),
    ]
    said = sse(*calls, chunk("Done.", finish="stop"), usage(1200, 34)) + DONE
    async with (
        open_chat_endpoint(replies(said)) as endpoint,
        open_server(tmp_path / "data") as server,
        open_browser() as browser,
    ):
        desktop = await server.desktop()
        agent = {"kind": "openai", "url": endpoint.url, "token": "any"}
        (await server.http.patch(f"/api/desktops/{desktop['id']}", json={"agent": agent})).raise_for_status()
        task = await server.run("Mend the login", "prompt", requiresApproval=True)
        await server.ended(task["id"])
        async with signed_in(browser, server.link) as page:
            await page.goto(f"{server.url}/approvals")
            await expect(page.get_by_text("1,234 tokens")).to_be_visible()
            changed = page.get_by_role("region", name="Changed files").get_by_role("listitem")
            await expect(changed).to_have_text(["src/login.py"])
