"""`If-Match`: change a thing only if it is still the version that was read."""

from __future__ import annotations

from starlette.requests import Request

from ..domain.errors import invalid


def wanted_version(request: Request) -> int | None:
    """The version that `If-Match` names, as `3` or `"3"`; None for any."""
    text = request.headers.get("if-match")
    if text is None or text.strip() == "*":
        return None
    number = text.strip().strip('"')
    if not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise invalid("/If-Match", "is not the version of a task or desktop, such as 3")
    return int(number)
