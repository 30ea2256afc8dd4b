"""The New Task dialog: everything that a task can be given, errors where they belong, and a draft that is not lost."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.async_api import Locator, Page, expect

from tests.browser.screenshots import make_fleet
from tests.browser.signing_in import signed_in
from tests.browser.test_board import card
from tests.support.browser import open_browser
from tests.support.server_process import ServerProcess, open_server

ARABIC = "افحص مساحة القرص على كل خادم، من فضلك."
EMOJI = "🚀👩‍💻🇩🇪 ok"
MARKUP = "<img src=x onerror='window.hurt = true'>&amp;"
LONG = "x" * 100_000 + " the end"


async def new_task(page: Page, type: str = "Command", content: str | None = None) -> Locator:
    """The dialog, open, with a type chosen and perhaps something typed."""
    await page.get_by_role("button", name="New Task").first.click()
    dialog = page.get_by_role("dialog", name="New task")
    await dialog.get_by_role("radio", name=type).click()
    if content is not None:
        await dialog.get_by_role("textbox", name=type).fill(content)
    return dialog


def field(dialog: Locator, label: str) -> Locator:
    """A field of the dialog that takes text."""
    return dialog.get_by_role("textbox", name=label, exact=True)


async def more(dialog: Locator) -> None:
    """Shows what a task need not have."""
    button = dialog.get_by_role("button", name=re.compile("^More"))
    if await button.get_attribute("aria-expanded") == "false":
        await button.click()


async def expect_error(dialog: Locator, label: str, words: str) -> None:
    """The field is marked, and what is wrong is said to those who see it and to those who do not."""
    await expect(field(dialog, label)).to_have_attribute("aria-invalid", "true")
    await expect(field(dialog, label)).to_have_accessible_description(re.compile(words))


async def set_secret(server: ServerProcess, name: str, value: str) -> None:
    """A named secret."""
    body = {"name": name, "value": value}
    (await server.http.post("/api/mission-control/secrets", json=body)).raise_for_status()


async def test_everything_that_a_command_is_given_reaches_it_and_is_there_to_use_again(tmp_path: Path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        await set_secret(server, "DEPLOY_TOKEN", "sesame-open")
        async with signed_in(browser, server.link) as page:
            dialog = await new_task(page, content='pwd; echo "$GREETING"; printenv DEPLOY_TOKEN')
            await more(dialog)
            await field(dialog, "Title").fill(EMOJI)
            await field(dialog, "Labels").fill("deploy, ليلي , deploy")
            await field(dialog, "Timeout").fill("10m")
            await field(dialog, "Working directory").fill(str(folder))
            await field(dialog, "Environment").fill("GREETING=a = b\n\nLANG=C.UTF-8")
            await dialog.get_by_role("checkbox", name="DEPLOY_TOKEN").check()

            # The tab is closed in the middle of it, and everything is there again.
            again = await page.context.new_page()
            await page.close()
            await again.goto(server.url)
            dialog = await new_task(again)
            await expect(field(dialog, "Environment")).to_have_value("GREETING=a = b\n\nLANG=C.UTF-8")
            await expect(dialog.get_by_role("checkbox", name="DEPLOY_TOKEN")).to_be_checked()
            await dialog.get_by_role("switch", name="Requires Approval").click()
            await again.keyboard.press("Control+Enter")
            await expect(dialog).to_be_hidden()
            await expect(card(again, "Review", EMOJI)).to_be_visible()
            (task,) = (await server.http.get("/api/mission-control/tasks")).json()
            given = {name: task[name] for name in ("title", "labels", "timeoutSeconds", "cwd", "env", "secrets")}
            assert given == {
                "title": EMOJI,
                "labels": ["deploy", "ليلي"],
                "timeoutSeconds": 600,
                "cwd": str(folder),
                "env": {"GREETING": "a = b", "LANG": "C.UTF-8"},
                "secrets": ["DEPLOY_TOKEN"],
            }
            assert await server.output(task["id"]) == f"{folder}\na = b\n{'*' * len('sesame-open')}\n"

            # It is not there again for the next task, but on the task's own page.
            dialog = await new_task(again)
            await expect(field(dialog, "Command")).to_have_value("")
            await field(dialog, "Command").fill("echo kept for later")
            await again.keyboard.press("Escape")
            await card(again, "Review", EMOJI).get_by_role("link").first.click()
            await again.get_by_role("button", name="Use again").click()
            await expect(field(dialog, "Command")).to_have_value(task["content"])
            await expect(field(dialog, "Labels")).to_have_value("deploy, ليلي")
            await expect(field(dialog, "Timeout")).to_have_value("600")
            await expect(field(dialog, "Working directory")).to_have_value(str(folder))
            await expect(field(dialog, "Environment")).to_have_value("GREETING=a = b\nLANG=C.UTF-8")
            await expect(dialog.get_by_role("switch", name="Requires Approval")).to_be_checked()
            await expect(dialog.get_by_role("checkbox", name="DEPLOY_TOKEN")).to_be_checked()
            await dialog.get_by_role("button", name="Create", exact=True).click()
            await expect(again.get_by_text("Task created in Pending")).to_be_visible()
            # What was begun before that is still there.
            dialog = await new_task(again)
            await expect(field(dialog, "Command")).to_have_value("echo kept for later")
        copies = (await server.http.get("/api/mission-control/tasks?status=pending")).json()
        assert [{name: copy[name] for name in given} for copy in copies] == [given]


async def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        async with signed_in(browser, server.link, provoked=("422",)) as page:
            dialog = await new_task(page)
            create = dialog.get_by_role("button", name="Create", exact=True)
            await create.click()
            await expect_error(dialog, "Command", "Enter the command to run")
            await expect(field(dialog, "Command")).to_be_focused()
            await field(dialog, "Command").fill("echo hello")
            await expect(field(dialog, "Command")).not_to_have_attribute("aria-invalid", "true")

            # What the page can tell by itself, and what only the server knows, at the same places.
            await more(dialog)
            await field(dialog, "Timeout").fill("soon")
            await field(dialog, "Environment").fill("not a variable")
            await create.click()
            await expect_error(dialog, "Timeout", "10m or 2h")
            await expect_error(dialog, "Environment", "NAME=value")
            await field(dialog, "Timeout").fill("")
            await field(dialog, "Environment").fill("")
            for label, text, words in (
                ("Title", "t" * 201, "200"),
                ("Labels", "fine, " + "l" * 61, "60"),
                ("Timeout", "400d", "2592000|2,592,000|30 days"),
                ("Working directory", "/" * 5_000, "not a path"),
                ("Environment", f"BIG={'e' * 40_000}", "32"),
                ("Command", "echo " + "c" * 120_000, "120,000|120000"),
            ):
                before = await field(dialog, label).input_value()
                await field(dialog, label).fill(text)
                await dialog.get_by_role("button", name=re.compile("^More")).click()
                await create.click()
                await expect_error(dialog, label, rf"^{label} .*({words}).*\.$")  # a whole sentence
                await expect(field(dialog, label)).to_be_focused()
                await more(dialog)
                await expect(field(dialog, label)).to_have_value(text)
                await field(dialog, label).fill(before)  # and what is empty again is not folded away
                await expect(field(dialog, label)).not_to_have_attribute("aria-invalid", "true")
            await create.click()
            await expect(dialog).to_be_hidden()
        assert len((await server.http.get("/api/mission-control/tasks")).json()) == 1


async def test_text_of_any_script_and_length_stays_the_text_it_is(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        async with signed_in(browser, server.link) as page:
            for type, title, content in (
                ("Prompt", MARKUP, f"{ARABIC}\n{EMOJI}\n{MARKUP}"),
                ("Prompt", "ز" * 200, ARABIC * 800),
                ("Command", "", LONG),
            ):
                dialog = await new_task(page, type, content)
                await more(dialog)
                await field(dialog, "Title").fill(title)
                await field(dialog, "Labels").fill(f"{MARKUP}, {EMOJI}, {ARABIC}")
                if type == "Command":
                    await field(dialog, "Environment").fill(f"TEXT={ARABIC} {EMOJI} {MARKUP}")
                else:  # which is asked for no more than it takes
                    await expect(field(dialog, "Environment")).to_have_count(0)
                    await expect(field(dialog, "Working directory")).to_have_count(0)
                await dialog.get_by_role("button", name="Create", exact=True).click()
                await expect(dialog).to_be_hidden()
                (task,) = (await server.http.get("/api/mission-control/tasks?limit=1")).json()
                assert (task["content"], task["title"] or "") == (content, title)
                assert task["labels"] == [MARKUP, EMOJI, ARABIC]
                assert task["env"] == ({"TEXT": f"{ARABIC} {EMOJI} {MARKUP}"} if type == "Command" else {})
                await page.goto(f"{server.url}/tasks/{task['id']}")
                shown = page.get_by_role("article").locator(".asked").locator("p, pre")
                assert await shown.text_content() == content
                for label in (MARKUP, EMOJI, ARABIC):
                    await expect(page.get_by_role("article").get_by_text(label, exact=True).first).to_be_visible()
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), title
                await page.get_by_role("button", name="Use again").click()
                await expect(field(dialog, type)).to_have_value(content)
                await expect(field(dialog, "Title")).to_have_value(title)
                await page.keyboard.press("Escape")
                await page.goto(server.url)
            assert await page.evaluate("window.hurt") is None


async def test_several_desktops_are_chosen_by_keys_and_the_others_are_accounted_for(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await make_fleet(server)
        async with signed_in(browser, server.link) as page:
            dialog = await new_task(page, content="uptime")
            picker = dialog.get_by_role("combobox", name="Desktop")
            listed = dialog.get_by_role("listbox", name="Desktops")
            await picker.click()
            await expect(listed).to_contain_text(re.compile(r"1 other\s+cannot run tasks now: (in error|connecting)\."))
            await expect(listed.get_by_role("option", name="old-mac")).to_have_count(0)
            await picker.press_sequentially("linux")
            await expect(listed.get_by_role("option")).to_have_count(3)  # two desktops, and all of the label
            await listed.get_by_role("option", name="All labelled").click()
            chosen = dialog.get_by_role("list", name="Chosen desktops").get_by_role("listitem")
            await expect(chosen).to_have_text(["build-01", "build-02"])
            await picker.press("ArrowDown")
            await picker.press_sequentially("gpu")
            await picker.press("Shift+Enter")
            await expect(chosen).to_have_text(["build-01", "build-02", "gpu-01"])
            await expect(listed).to_be_visible()
            await picker.press("Escape")
            await expect(listed).to_be_hidden()
            await chosen.get_by_role("button", name="Remove build-02").click()
            await expect(dialog.get_by_text("One task on each of 2 desktops")).to_be_visible()
            await dialog.get_by_role("button", name="Create", exact=True).click()
            await expect(page.get_by_text("2 tasks created")).to_be_visible()
            await page.get_by_role("button", name="Open the batch").click()
            await expect(page).to_have_url(re.compile("/batches/batch_"))
            await expect(page.get_by_text("2 tasks on 2 desktops")).to_be_visible()
            for name in ("build-01", "gpu-01"):
                await expect(page.get_by_role("link", name=name)).to_be_visible()
        tasks = (await server.http.get("/api/mission-control/tasks")).json()
        assert {task["status"] for task in tasks} == {"pending"} and len(tasks) == 2
