"""What a monitoring system reads, and who may."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from mission_control.domain.watching import Metrics
from tests.support.server import open_api, problem


def figures(text: str) -> dict[str, float]:
    """Each series with its value, read by Prometheus' own parser."""
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_figures_are_those_of_the_log(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop('build "1"\\')
        api.metrics[desktop] = Metrics(id=desktop, cpu=0.5, memory=None, disk=0.25, load=1.0, runs=0)
        await api.task(desktop)
        await api.in_review(desktop)
        answer = await api.as_("viewer").get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        found = figures(answer.text)
        assert found["mission_control_tasks{pending}"] == 1
        assert found["mission_control_tasks{review}"] == 1
        assert found["mission_control_tasks{failed}"] == 0
        assert found["mission_control_pending_approvals{}"] == 1
        assert found["mission_control_desktops{running}"] == 1
        assert found[f'mission_control_desktop_cpu{{{desktop},build "1"\\}}'] == 0.5
        assert found["mission_control_log_head{}"] == api.control.log.head
        assert found["mission_control_ready{}"] == 1
        assert found["process_resident_memory_bytes{}"] > 0


async def test_figures_need_a_key_unless_the_server_was_told_otherwise(tmp_path: Path):
    async with open_api(tmp_path) as api:
        problem(await api.as_("nobody").get("/metrics"), 401, "unauthorized")
    async with open_api(tmp_path, public_metrics=True) as api:
        assert (await api.as_("nobody").get("/metrics")).status_code == 200
        problem(await api.as_("nobody").get("/overview"), 401, "unauthorized")
