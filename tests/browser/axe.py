"""What axe finds on a page: the rules of WCAG 2.0 to 2.2, levels A and AA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Page

AXE = Path(__file__).resolve().parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa")
ASK = """async (tags) => {
  const found = await axe.run(document, { runOnly: tags, resultTypes: ['violations'] });
  return found.violations.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.html.slice(0, 200)}\\n    ${node.any.concat(node.all, node.none)
      .map((check) => check.message).join('; ').slice(0, 300)}`));
}"""


async def violations(page: Page) -> list[str]:
    """What is wrong with the page as it is now, one text for each element."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    found: Any = await page.evaluate(ASK, list(TAGS))
    return found
