"""What reading answers promise: one moment, its place in the log, the whole list page by page."""

from __future__ import annotations

from pathlib import Path

import pytest

from mission_control.api.app import TABLE
from mission_control.domain.tasks import TaskEdit
from mission_control.domain.values import SYSTEM
from mission_control.domain.watching import Metrics
from tests.support.server import Api, open_api, problem

SHOWN = [route for route in TABLE if route.method == "GET" and "Mission-Control-Seq" in route.answer.headers]


async def all_pages(api: Api, path: str) -> list[list[str]]:
    """The ids of a list, page by page, by following its links."""
    pages: list[list[str]] = []
    following: str | None = path
    while following:
        answer = await api.get(following)
        assert answer.status_code == 200, answer.text
        pages.append([each["id"] for each in answer.json()])
        link = answer.headers.get("link")
        assert link is None or link.endswith('>; rel="next"')
        following = link[1:].partition(">")[0] if link else None
    return pages


@pytest.mark.parametrize("route", SHOWN, ids=lambda route: route.path)
async def test_every_answer_that_shows_state_says_where_in_the_log_it_is(route: object, tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = (await api.post("/batches", {"tasks": [await new(api)]})).json()
        path = route.path  # type: ignore[attr-defined]
        ids = {"tasks": task["tasks"][0]["id"], "batches": task["id"], "desktops": task["tasks"][0]["desktopId"]}
        for name, id in ids.items():
            path = path.replace(f"{name}/{{id}}", f"{name}/{id}")
        answer = await api.get(f"{path}?q=x" if path.endswith("/find") else path)
        assert answer.status_code == 200, answer.text
        assert int(answer.headers["mission-control-seq"]) == api.control.log.head
        assert answer.headers["mission-control-log"] == api.control.log.log_id
        assert answer.headers["cache-control"] == "no-store"


async def test_who_follows_from_the_answer_to_a_change_sees_the_change(tmp_path: Path):
    async with open_api(tmp_path) as api:
        body = await new(api)
        head = api.control.log.head
        answer = await api.post("/tasks", body)
        assert int(answer.headers["mission-control-seq"]) == head < api.control.log.head
        assert answer.headers["mission-control-log"] == api.control.log.log_id


async def new(api: Api) -> dict[str, str]:
    return {"type": "command", "content": "x", "desktopId": await api.running_desktop()}


async def test_lists_are_cut_at_the_limit_and_link_to_the_rest(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        ids = [(await api.task(desktop)).id for _ in range(7)][::-1]
        answer = await api.get("/tasks?limit=3&status=pending")
        assert answer.headers["mission-control-total"] == "7"
        assert await all_pages(api, "/tasks?limit=3&status=pending") == [ids[:3], ids[3:6], ids[6:]]
        assert await all_pages(api, "/tasks?limit=7") == [ids]
        assert "link" not in (await api.get("/tasks")).headers


async def test_by_their_end_finished_tasks_come_newest_first_whatever_became_of_them(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        first = await api.finished(desktop)
        waiting = await api.task(desktop)
        second = await api.finished(desktop, exit_code=3)
        await api.post(f"/tasks/{waiting.id}/cancel")
        third = await api.finished(desktop)
        await api.task(desktop)
        expected = [third.id, waiting.id, second.id, first.id]
        assert await all_pages(api, "/tasks?order=ended") == [expected]
        assert await all_pages(api, "/tasks?order=ended&limit=1") == [[id] for id in expected]
        assert await all_pages(api, "/tasks?order=ended&limit=1&status=done") == [[third.id], [first.id]]
        assert (await api.get("/tasks?order=ended")).headers["mission-control-total"] == "4"
        assert await all_pages(api, "/tasks?order=ended&status=pending") == [[]]
        assert await all_pages(api, f"/tasks?order=ended&desktopId={desktop}") == [expected]


async def test_the_queue_is_in_the_order_in_which_tasks_were_started(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        one, two, three = [await api.task(desktop) for _ in range(3)]
        for task in (three, one, two):
            await api.post(f"/tasks/{task.id}/run")
        await api.task(desktop)
        answer = await api.get(f"/tasks?order=queue&desktopId={desktop}")
        assert [task["id"] for task in answer.json()] == [three.id, one.id, two.id]
        assert answer.headers["mission-control-total"] == "3"


async def test_filters_hold_together(tmp_path: Path):
    async with open_api(tmp_path) as api:
        here, there = await api.running_desktop("a", agent=True), await api.running_desktop("b")
        wanted = await api.task(here, "Deploy the WEB server", labels=("web", "prod"), title="Friday's")
        await api.task(here, "deploy the web server", labels=("staging",))
        await api.task(there, "deploy the web server", labels=("web",))
        prompt = await api.task(here, "deploy", labels=("web",), type="prompt")

        async def found(query: str) -> list[str]:
            answer = await api.get(f"/tasks?{query}")
            ids = [task["id"] for task in answer.json()]
            assert answer.headers["mission-control-total"] == str(len(ids))
            return ids

        both = f"desktopId={here}&label=web"
        assert await found(both) == [prompt.id, wanted.id]
        assert await found(f"{both}&type=command") == [wanted.id]
        assert await found(f"{both}&q=web%20SERVER") == [wanted.id]
        assert await found("q=friday") == [wanted.id]
        assert await found(f"{both}&q=%25") == []
        assert await found(f"{both}&status=done,failed") == []
        assert await found(f"{both}&status=pending,done&status=failed&type=prompt") == [prompt.id]
        assert await found("label=' or 1=1 --") == []
        assert await found("q=STAGING") == [(await api.get("/tasks?label=staging")).json()[0]["id"]]
        assert await found(f"q={wanted.id}") == [wanted.id]


async def test_a_search_finds_text_far_into_a_long_content_and_without_regard_to_case(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        long = await api.task(desktop, "x" * 50_000 + " Needle at the end", title="Ärger mit Öl")
        quoted = await api.task(desktop, "true", labels=('say "hi"', "back\\slash"))

        async def found(**query: str) -> list[str]:
            for order in ("created", "ended"):
                answer = await api.get("/tasks", params={"order": order, **query})
                ids = [task["id"] for task in answer.json()]
                assert answer.headers["mission-control-total"] == str(len(ids))
                if ids:
                    return ids
            return []

        assert await found(q="NEEDLE") == [long.id]
        assert await found(q="ärger") == await found(q="ÄRGER") == [long.id]
        assert await found(q="ol") == []
        assert await found(label='say "hi"') == await found(label="back\\slash") == [quoted.id]
        assert await found(label="hi") == await found(label='","') == []
        await api.control.tasks.cancel(long.id, SYSTEM)
        answer = await api.get("/tasks?order=ended&q=needle")
        assert [task["id"] for task in answer.json()] == [long.id]


async def test_tasks_are_found_by_who_made_them_and_when(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        first = await api.finished(desktop)
        mine = (await api.post("/tasks", await new(api))).json()
        last = await api.finished(desktop)

        async def found(**query: str) -> list[str]:
            answer = await api.get("/tasks", params=query)
            assert answer.headers["mission-control-total"] == str(len(answer.json()))
            return [task["id"] for task in answer.json()]

        me = (await api.get("/api/auth/me")).json()
        assert await found(createdBy=me["id"]) == [mine["id"]]
        assert await found(since=mine["createdAt"]) == [last.id, mine["id"]]
        assert await found(until=mine["createdAt"]) == [first.id]
        assert await found(since=mine["createdAt"], until=last.created_at) == [mine["id"]]
        ended = (await api.get(f"/tasks/{last.id}")).json()["completedAt"]
        assert await found(order="ended", since=ended) == [last.id]
        assert await found(order="ended", until=ended) == [first.id]
        assert await found(order="ended", until=ended, desktopId=desktop, status="done") == [first.id]
        said = problem(await api.get("/tasks?since=yesterday"), 422, "validation_failed")
        assert said["errors"][0]["pointer"] == "/since"


async def test_archived_tasks_leave_the_lists_and_stay_readable(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        task, other = await api.finished(desktop), await api.task(desktop)
        assert (await api.delete(f"/tasks/{task.id}")).status_code == 204
        assert (await api.delete(f"/tasks/{task.id}")).status_code == 204
        assert await all_pages(api, "/tasks") == [[other.id]]
        assert (await api.get("/tasks")).headers["mission-control-total"] == "1"
        assert (await api.get(f"/tasks/{task.id}")).json()["archived"] is True
        assert (await api.get(f"/tasks/{task.id}/events")).status_code == 200
        running = await api.task(desktop, run=True)
        problem(await api.delete(f"/tasks/{running.id}"), 409, "task_not_finished")


async def test_the_past_comes_newest_first_without_what_runs_print(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        task = await api.task(desktop, run=True)
        await api.output(task, ("stdout", b"hello\n"))
        await api.finished(desktop)
        events = (await api.get("/activity")).json()
        seqs = [event["seq"] for event in events]
        assert seqs == sorted(seqs, reverse=True)
        assert set(events[0]) == {"seq", "at", "type", "actor", "payload"}
        assert "task.output" not in {event["type"] for event in events}
        (output,) = (await api.get("/activity?types=task.output")).json()
        assert output["payload"]["text"] == "hello\n"
        of_task = (await api.get(f"/activity?taskId={task.id}&types=task.*")).json()
        assert [event["type"] for event in of_task] == ["task.started", "task.created"]
        of_desktop = (await api.get(f"/activity?desktopId={desktop}&types=desktop.*")).json()
        assert [event["type"] for event in of_desktop] == ["desktop.started", "desktop.created"]
        assert (await api.get("/activity?actor=nobody")).json() == []
        by_system = (await api.get(f"/activity?actor={SYSTEM.id}&types=task.created")).json()
        assert len(by_system) == 2


async def test_the_past_is_read_page_by_page_to_its_beginning(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        for _ in range(4):
            await api.task(desktop)
        seen: list[int] = []
        following: str | None = "/activity?limit=2"
        while following:
            answer = await api.get(following)
            seen += [event["seq"] for event in answer.json()]
            link = answer.headers.get("link")
            following = link[1:].partition(">")[0] if link else None
        assert seen == list(range(api.control.log.head, 0, -1))
        assert [e["seq"] for e in (await api.get("/activity?before=3")).json()] == [2, 1]


async def test_a_tasks_events_are_read_on_from_a_position(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.in_review(await api.running_desktop())
        await api.post(f"/tasks/{task.id}/review", {"decision": "approve"})
        path = f"/tasks/{task.id}/events"
        events = (await api.get(path)).json()
        assert [event["type"] for event in events] == [
            "task.created",
            "task.started",
            "task.phase",
            "task.review",
            "approval.created",
            "approval.resolved",
            "task.completed",
        ]
        after = events[4]["seq"]
        assert (await api.get(f"{path}?after={after}")).json() == events[5:]
        cut = await api.get(f"{path}?limit=2")
        assert cut.json() == events[:2]
        assert cut.headers["link"] == f'</api/mission-control{path}?limit=2&after={events[1]["seq"]}>; rel="next"'


async def test_an_edit_needs_the_version_that_was_read_when_it_says_so(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.task(desktop := await api.running_desktop())
        edited = await api.patch(f"/tasks/{task.id}", {"content": "new"}, headers={"if-match": '"1"'})
        assert (edited.json()["content"], edited.json()["version"]) == ("new", 2)
        late = await api.patch(f"/tasks/{task.id}", {"content": "newer"}, headers={"if-match": "1"})
        problem(late, 412, "version_mismatch")
        assert (await api.patch(f"/tasks/{task.id}", {"title": None}, headers={"if-match": "*"})).status_code == 200
        problem(await api.patch(f"/api/desktops/{desktop}", {}, headers={"if-match": "99"}), 412, "version_mismatch")
        wrong = await api.patch(f"/tasks/{task.id}", {}, headers={"if-match": "abc"})
        assert problem(wrong, 422, "validation_failed")["errors"][0]["pointer"] == "/If-Match"
        await api.post(f"/tasks/{task.id}/run")
        problem(await api.patch(f"/tasks/{task.id}", {"content": "x"}), 409, "task_not_pending")
        assert TaskEdit() == TaskEdit()


async def test_the_overview_counts_what_is_and_what_ended_within_a_day(tmp_path: Path):
    async with open_api(tmp_path) as api:
        here, there = await api.running_desktop("a"), await api.running_desktop("b")
        stopped = await api.running_desktop("c")
        await api.post(f"/api/desktops/{stopped}/stop")
        empty = (await api.get("/overview")).json()
        assert (empty["completionRate"], empty["meanDurationMs"], empty["cpu"]) == (None, None, None)
        await api.task(here)
        await api.task(here, run=True)
        await api.in_review(there)
        for code in (0, 0, 1):
            await api.finished(here, exit_code=code)
        hidden = await api.finished(here)
        await api.delete(f"/tasks/{hidden.id}")
        await api.post(f"/tasks/{(await api.task(here)).id}/cancel")
        api.metrics[here] = Metrics(id=here, cpu=0.5, memory=0.25)
        api.metrics[there] = Metrics(id=there, cpu=0.1)
        api.metrics[stopped] = Metrics(id=stopped, cpu=1.0, memory=1.0)
        seen = (await api.get("/overview")).json()
        assert seen["counts"] == {"pending": 1, "running": 1, "review": 1, "done": 2, "failed": 1, "cancelled": 1}
        assert seen["completionRate"] == 3 / 5
        assert seen["meanDurationMs"] == 40
        assert (seen["activeDesktops"], seen["desktops"]) == (2, 3)
        assert (seen["cpu"], seen["memory"]) == (0.3, 0.25)
        assert len(seen["throughput"]) == 24
        hours = seen["throughput"]
        assert hours == sorted(hours, key=lambda hour: hour["hour"])
        assert sum(hour["done"] for hour in hours) == 3
        assert sum(hour["failed"] + hour["cancelled"] for hour in hours) == 2
        assert seen["durations"] == {"count": 3, "mean": 40, "p50": 40, "p90": 40, "p99": 40, "max": 40}
        assert len((await api.get("/overview?hours=168")).json()["throughput"]) == 168
        assert problem(await api.get("/overview?hours=169"), 422, "validation_failed")


async def test_the_overview_says_what_waits_and_since_when(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        assert (await api.get("/overview")).json()["waiting"]["oldestAt"] is None
        task = await api.in_review(desktop)
        await api.in_review(desktop)
        waiting = (await api.get("/overview")).json()["waiting"]
        assert waiting["count"] == 2
        approvals = (await api.get("/approvals")).json()
        assert waiting["oldestAt"] == next(each["createdAt"] for each in approvals if each["taskId"] == task.id)
        assert [(age["fromSeconds"], age["toSeconds"], age["count"]) for age in waiting["ages"]] == [
            (0, 600, 2),
            (600, 3600, 0),
            (3600, 86400, 0),
            (86400, None, 0),
        ]


async def test_the_overview_says_what_fails_most_often(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        for content in ("make", "deploy", "make"):
            task = await api.finished(desktop, exit_code=1, content=content)
        await api.finished(desktop, content="make")
        failing = (await api.get("/overview")).json()["failing"]
        assert [(each["content"], each["count"]) for each in failing] == [("make", 2), ("deploy", 1)]
        assert failing[0]["taskId"] == task.id
        assert failing[0]["type"] == "command"


async def test_tasks_of_the_same_content_are_listed_by_one_of_them(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        made = [
            await api.finished(desktop, exit_code=1, content=content)
            for content in ("make", "MAKE", "make all", "make", f"make\n{'x' * 3000}")
        ]

        async def same_as(id: str, **more: str) -> list[str]:
            answer = await api.get("/tasks", params={"sameAs": id, **more})
            assert answer.headers["mission-control-total"] == str(len(answer.json()))
            return [each["id"] for each in answer.json()]

        for order in ("created", "ended"):
            assert await same_as(made[0].id, order=order) == [made[3].id, made[0].id]
            assert await same_as(made[4].id, order=order) == [made[4].id]
        assert await same_as(made[0].id, status="failed", order="ended") == [made[3].id, made[0].id]
        assert await same_as("task_unknown") == []
