"""Figures for Prometheus, worked out when they are asked for: nothing is counted beside the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from ..domain.entities import PHASES, STATUSES, Desktop
from ..log import queries
from .answers import shown
from .services import Services, services_of

DESKTOP_STATUSES = ("pending", "booting", "running", "stopped", "error")
LINKS = ("up", "reconnecting", "down")


async def read_metrics(request: Request) -> Response:
    """Figures as Prometheus reads them: tasks, desktops and their load, approvals, the log, this process.

    Without a key only where the server was started with `--public-metrics`.
    """
    services, listed = services_of(request), queries.task_counts(None)
    async with shown(request) as moment:
        tasks = {str(status): int(count) for status, count in await moment.snapshot.rows(listed.sql, listed.parameters)}
    registry = CollectorRegistry()
    registry.register(_Figures(services, tasks))
    ProcessCollector(registry=registry)
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


class _Figures(Collector):
    def __init__(self, services: Services, tasks: dict[str, int]) -> None:
        self._services = services
        self._tasks = tasks

    def collect(self) -> Iterable[Metric]:
        """Every figure of Mission Control's own."""
        control, state = self._services.control, self._services.control.journal.state
        desktops = [desktop for desktop in state.desktops.values() if not desktop.removed_at]
        phases = Counter(task.phase or "" for task in state.tasks.values() if task.status == "running")
        statuses, links = Counter(one.status for one in desktops), Counter(one.link for one in desktops)
        waiting = sum(approval.status == "pending" for approval in state.approvals.values())
        info = GaugeMetricFamily("mission_control_info", "Which server this is.", labels=["version", "server_id"])
        info.add_metric([self._services.version, control.log.server_id], 1)
        yield info
        ready = self._services.is_ready() and control.log.trouble is None
        yield GaugeMetricFamily("mission_control_ready", "1 while tasks run and the log takes them.", value=int(ready))
        yield _by("mission_control_tasks", "Tasks that are not archived.", "status", STATUSES, self._tasks)
        yield _by("mission_control_running_tasks", "Running tasks.", "phase", PHASES, phases)
        yield GaugeMetricFamily("mission_control_pending_approvals", "Tasks that wait for a person.", value=waiting)
        yield _by("mission_control_desktops", "Desktops of the fleet.", "status", DESKTOP_STATUSES, statuses)
        yield _by("mission_control_desktop_links", "Connections to desktops.", "link", LINKS, links)
        yield GaugeMetricFamily("mission_control_log_head", "Events in the log.", value=control.log.head)
        yield from self._loads(desktops)

    def _loads(self, desktops: list[Desktop]) -> Iterable[Metric]:
        newest = self._services.metrics()
        for name, help in (("cpu", "CPU in use"), ("memory", "Memory in use"), ("disk", "Disk in use")):
            family = GaugeMetricFamily(
                f"mission_control_desktop_{name}", f"{help}, from 0 to 1.", labels=["id", "name"]
            )
            for desktop in desktops:
                value = getattr(newest.get(desktop.id), name, None)
                if value is not None:
                    family.add_metric([desktop.id, desktop.name], value)
            yield family


def _by(name: str, help: str, label: str, values: Iterable[str], counts: dict[str, int] | Counter[str]) -> Metric:
    """One figure for each value, 0 included: a series that comes and goes breaks alerts."""
    family = GaugeMetricFamily(name, help, labels=[label])
    for value in values:
        family.add_metric([value], counts.get(value, 0))
    return family
