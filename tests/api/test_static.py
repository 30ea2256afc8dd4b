"""The dashboard's files: what was built, nothing else, and nothing in them that runs from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.server import Api, open_api, problem

INDEX = b'<!doctype html><script src="/assets/app-1a2b.js"></script>'
SCRIPT = b"console.log('hello')\n" * 50


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A built dashboard, with a file beside it that is none of anybody's business."""
    folder = tmp_path / "dashboard"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(INDEX)
    (folder / "icon.svg").write_bytes(b"<svg/>")
    (folder / "assets" / "app-1a2b.js").write_bytes(SCRIPT)
    (folder / "icon-192.png").write_bytes(b"\x89PNG")
    (folder / "manifest.webmanifest").write_text("{}")
    (folder / "sw.js").write_bytes(SCRIPT)
    (folder / ".built-from").write_text("a digest")
    (tmp_path / "secret.txt").write_text("seal.key")
    return folder


async def page(api: Api, path: str, **headers: str):
    return await api.as_("nobody").client.request("GET", "!" + path, headers=headers)


@pytest.mark.parametrize("path", ["/", "/tasks/task_1", "/approvals", "/desktops", "/settings", "/index.html"])
async def test_every_page_is_the_one_page_fresh_each_time(path: str, built: Path, tmp_path: Path):
    async with open_api(tmp_path, dashboard=built) as api:
        answer = await page(api, path)
        assert (answer.status_code, answer.content) == (200, INDEX)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        again = await page(api, path, **{"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_the_page_runs_only_what_this_server_serves(built: Path, tmp_path: Path):
    async with open_api(tmp_path, dashboard=built) as api:
        answer = await page(api, "/")
        assert answer.headers["content-security-policy"] == (
            "default-src 'none'; object-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
            " connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self';"
            " frame-ancestors 'none'"
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


async def test_assets_are_kept_for_ever_and_sent_small(built: Path, tmp_path: Path):
    async with open_api(tmp_path, dashboard=built) as api:
        answer = await page(api, "/assets/app-1a2b.js")
        assert answer.headers["content-encoding"] == "gzip"
        assert int(answer.headers["content-length"]) < len(SCRIPT)
        assert answer.content == SCRIPT
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["vary"] == "Accept-Encoding"
        plain = await page(api, "/assets/app-1a2b.js", **{"accept-encoding": "gzip;q=0, identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == SCRIPT
        assert (await page(api, "/icon.svg")).headers["content-type"] == "image/svg+xml"


async def test_what_an_installed_dashboard_needs_is_looked_at_anew_each_time(built: Path, tmp_path: Path):
    async with open_api(tmp_path, dashboard=built) as api:
        types = {
            "/manifest.webmanifest": "application/manifest+json",
            "/sw.js": "text/javascript; charset=utf-8",
            "/icon-192.png": "image/png",
        }
        for path, media_type in types.items():
            answer = await page(api, path)
            assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
            assert answer.headers["cache-control"] == "no-cache"
        assert (await page(api, "/icon-192.png")).headers.get("content-encoding") is None


TRICKS = [
    "/../secret.txt",
    "/assets/../../secret.txt",
    "/%2e%2e/secret.txt",
    "/..%2fsecret.txt",
    "/%2e%2e%2f%2e%2e%2fetc/passwd",
    "/assets/..%5c..%5csecret.txt",
    "//etc/passwd",
    "/assets//app-1a2b.js",
    "/assets/",
    "/assets/app-1a2b.js.gz",
    "/assets/other.js",
    "/tasks/%00",
    "/index.html%00.js",
    "/" + "a." * 2000,
    "/.git/config",
    "/.built-from",
]


@pytest.mark.parametrize("path", TRICKS, ids=[path[:30] for path in TRICKS])
async def test_tricks_with_paths_find_nothing(path: str, built: Path, tmp_path: Path):
    async with open_api(tmp_path, dashboard=built) as api:
        sent = []

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        from urllib.parse import unquote

        scope = {
            "type": "http",
            "method": "GET",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"localhost:8765")],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 8765),
            "scheme": "http",
        }
        await api.app(scope, receive, send)  # as it is: clients would tidy the path up
        assert sent[0]["status"] == 404
        assert b"not_found" in sent[1]["body"]


async def test_without_a_dashboard_a_page_says_how_to_build_it_and_the_api_works(tmp_path: Path):
    async with open_api(tmp_path) as api:
        answer = await page(api, "/")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert "scripts/run" in answer.text
        assert (await page(api, "/desktops")).status_code == 404
        assert (await api.get("/tasks")).status_code == 200


async def test_operations_are_not_pages(built: Path, tmp_path: Path):
    async with open_api(tmp_path, dashboard=built) as api:
        assert (await page(api, "/healthz")).json() == {"status": "ok"}
        for path in ("/metrics", "/api", "/api/", "/api/x", "/healthz/"):
            answer = await page(api, path)
            assert answer.content != INDEX or path == "/healthz/"
        problem(await page(api, "/api/x"), 404, "not_found")
