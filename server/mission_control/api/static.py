"""The built dashboard. Its files are listed once, so a path either names one of them or is a page of the dashboard.

Nothing is opened by a name that a request brings; there is no path to escape from.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from pathlib import Path
from typing import NamedTuple

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from ..domain.errors import NOT_FOUND, Refused
from .services import services_of

CSP = (
    "default-src 'none'; object-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
IMMUTABLE = "public, max-age=31536000, immutable"  # names under /assets/ carry a digest of what is in them
MEDIA_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain",
    ".map": "application/json",
}

NOT_BUILT = """\
Mission Control is running, but its dashboard is not built.

In a checkout:   scripts/run      builds it, and starts the server
By hand:         cd frontend && npm ci && npm run build

The API works without it: see /openapi.json.
"""


class File(NamedTuple):
    """One file of the dashboard, as it is sent."""

    data: bytes
    gzipped: bytes | None
    media_type: str
    etag: str


class Dashboard:
    """Answers for every path that is not the API's. Its files are read at the first request."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}

    async def __call__(self, request: Request) -> Response:
        """A file of the dashboard, or the page that shows everything else."""
        folder = services_of(request).dashboard
        if not self._files and folder is not None:
            self._files = await anyio.to_thread.run_sync(_read, folder)
        path = request.scope["path"]
        file = self._files.get(path)
        if file is None and _may_be_page(path):
            file = self._files.get("/index.html")
            if file is None:
                return Response(NOT_BUILT, 200 if path == "/" else 404, {"Cache-Control": "no-store"}, "text/plain")
        if file is None:
            raise Refused(NOT_FOUND, kind="file", id=path[:200])
        return _respond(request, file, is_asset=path.startswith("/assets/"))


def _may_be_page(path: str) -> bool:
    """Whether the dashboard may have such a page; files and path tricks are none."""
    steps = path.split("/")
    is_plain = "." not in path and "\\" not in path and path.isprintable()
    return is_plain and steps[1] != "assets" and "" not in steps[1:-1]


def _respond(request: Request, file: File, *, is_asset: bool) -> Response:
    headers = {
        "Cache-Control": IMMUTABLE if is_asset else "no-cache",
        "Content-Security-Policy": CSP,
        "ETag": file.etag,
        "Vary": "Accept-Encoding",
    }
    if file.etag in (part.strip() for part in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    if file.gzipped is not None and _takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(file.gzipped, headers=headers | {"Content-Encoding": "gzip"}, media_type=file.media_type)
    return Response(file.data, headers=headers, media_type=file.media_type)


def _takes_gzip(accepted: str) -> bool:
    for part in accepted.lower().split(","):
        name, _, weight = part.strip().partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _read(folder: Path) -> dict[str, File]:
    """URL path → file."""
    files: dict[str, File] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.startswith("."):
            continue
        data = path.read_bytes()
        media_type = MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        files["/" + path.relative_to(folder).as_posix()] = File(
            data,
            gzip.compress(data, mtime=0) if path.suffix in MEDIA_TYPES else None,  # those that are text
            media_type,
            f'W/"{hashlib.sha256(data).hexdigest()[:24]}"',
        )
    if index := files.get("/index.html"):
        files["/"] = index
    return files
