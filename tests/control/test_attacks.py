"""Everything that a page of another site could try. All refused, nothing changed."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from codex_nexus.control.app import _files
from tests.control.conftest import Panel
from tests.waiting import PATIENCE

EVIL = "http://evil.example"
PATHS = ("/", "/nexus-ctrl/config", "/nexus-ctrl/session", "/nexus-ctrl/status", "/nexus-ctrl/events", "/main.js")
SPELLINGS = (
    "/../pyproject.toml",
    "/static/../../config.json",
    "/..%2f..%2fconfig.json",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..\\..\\config.json",
    "/..%5c..%5cconfig.json",
    "/%252e%252e%252fetc%252fpasswd",
    "//etc/passwd",
    "/main.js/../../app.py",
    "/..;/app.py",
    "/%00/main.js",
    "/main.js%00.css",
    "/....//....//etc/passwd",
    "/%c0%ae%c0%ae/etc/passwd",
    "/static/index.html",
    "/__init__.py",
)


@pytest.fixture(autouse=True)
def _nothing_changes(request: pytest.FixtureRequest) -> Iterator[None]:
    panel: Panel = request.getfixturevalue("panel")
    before = (panel.file.read_bytes(), panel.supervisor.gateway.snapshot)
    yield
    assert (panel.file.read_bytes(), panel.supervisor.gateway.snapshot) == before
    assert not panel.supervisor._ended.is_set()


async def raw(panel: Panel, head: str, body: bytes = b"") -> bytes:
    """A request as bytes: no client tidies it up."""
    where = urlsplit(panel.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(65536), PATIENCE)
    finally:
        writer.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:5801",
        "127.0.0.1.evil.example",
        "127.0.0.1:1",
        "0.0.0.0",
        "",
        "localhost.",
        "[::1]",
    ],
)
async def test_a_foreign_host_name_is_refused(panel: Panel, path: str, host: str) -> None:
    reply = await panel.ask("GET", path, headers={"Host": host})
    assert reply.status == 403
    assert reply.error["code"] == "host_not_allowed"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "origin", [EVIL, "null", "http://127.0.0.1:1", "http://localhost", "file://", "https://127.0.0.1"]
)
async def test_a_foreign_origin_is_refused(panel: Panel, path: str, origin: str) -> None:
    reply = await panel.ask("GET", path, headers={"Origin": origin})
    assert reply.status == 403
    assert "Access-Control-Allow-Origin" not in reply.headers


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
async def test_what_another_site_loads_is_refused(panel: Panel, path: str, site: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}
    assert (await panel.ask("GET", path, headers=headers)).status == 403


async def test_a_link_to_the_page_may_be_followed_but_not_framed(panel: Panel) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await panel.ask("GET", "/", headers=followed)).status == 200
    assert (await panel.ask("GET", "/", headers=followed | {"Sec-Fetch-Dest": "iframe"})).status == 403
    assert (await panel.ask("GET", "/nexus-ctrl/config", headers=followed)).status == 403


@pytest.mark.parametrize(
    "name", ["config", "config/reset", "shutdown", "inject", "eject", "models", "playground", "start", "preview"]
)
async def test_a_change_with_a_wrong_token_or_of_an_unknown_page_is_refused(panel: Panel, name: str) -> None:
    wrong = [{"x-nexus-csrf": token} for token in ("", "x", "0" * 43)]
    nowhere = [{"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Mode": "no-cors"}, {"sec-fetch-site": "same-origin"}]
    for headers in [*wrong, *nowhere]:
        reply = await panel.ask("POST", f"/nexus-ctrl/{name}", {}, {"Content-Type": "application/json", **headers})
        assert reply.status == 403
        assert reply.error["code"] == "csrf_token_wrong"


async def test_a_script_needs_no_token(panel: Panel) -> None:
    """No browser sends these: it tells its page with every change."""
    sent = {"config": (await panel.get("config")).json["config"]}
    for headers in ({}, {"Origin": panel.url}, {"Origin": panel.url, "Sec-Fetch-Site": "same-origin"}):
        reply = await panel.ask("POST", "/nexus-ctrl/preview", sent, {"Content-Type": "application/json", **headers})
        assert reply.status == 200, reply
    assert (await panel.ask("POST", "/nexus-ctrl/eject")).status == 200


@pytest.mark.parametrize("name", ["config/reset", "shutdown", "inject"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_a_form_of_another_site_is_refused_even_with_the_token(panel: Panel, name: str, kind: str) -> None:
    assert (await panel.post(name, b"{}", {"Content-Type": kind})).status == 415
    assert (await panel.ask("POST", f"/nexus-ctrl/{name}", b"{}", {"Content-Type": kind})).status == 415
    assert (await panel.post(name, b"{}", {"Origin": EVIL})).status == 403
    assert (await panel.post(name, b"{}", {"Origin": panel.url, "Sec-Fetch-Site": "cross-site"})).status == 403


@pytest.mark.parametrize("name", ["config", "shutdown"])
async def test_a_preflight_gets_no_permission(panel: Panel, name: str) -> None:
    for origin in (EVIL, panel.url):
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-nexus-csrf",
        }
        reply = await panel.ask("OPTIONS", f"/nexus-ctrl/{name}", headers=headers)
        assert reply.status in (403, 405)
        assert not any(header.lower().startswith("access-control") for header in reply.headers)


async def test_a_websocket_of_another_site_is_refused(panel: Panel) -> None:
    headers = {
        "Origin": EVIL,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "x" * 22 + "==",
        "Sec-WebSocket-Version": "13",
    }
    for path in ("/nexus-ctrl/events", "/"):
        assert (await panel.ask("GET", path, headers=headers)).status == 403


@pytest.mark.parametrize("path", SPELLINGS)
async def test_no_path_leads_out_of_the_packaged_files(panel: Panel, path: str) -> None:
    host = urlsplit(panel.url).netloc
    answer = await raw(panel, f"GET {path} HTTP/1.1\nHost: {host}\nConnection: close")
    assert answer.split(b" ", 2)[1] in (b"400", b"403", b"404"), answer[:200]
    assert b"import" not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "POST"])
async def test_pages_are_only_read(panel: Panel, method: str) -> None:
    assert (await panel.ask(method, "/", b"{}", {"Content-Type": "application/json"})).status == 405


async def test_an_oversized_body_is_refused(panel: Panel) -> None:
    token = (await panel.get("session")).json["token"]
    headers = {"Content-Type": "application/json", "x-nexus-csrf": token}
    body = io.BytesIO(b'{"x": "' + b"x" * (1 << 20) + b'"}')
    async with panel.client.post(f"{panel.url}/nexus-ctrl/config", data=body, headers=headers) as reply:
        assert reply.status == 413
        assert (await reply.json())["error"]["code"] == "request_too_large"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"config": 3}',
        b'{"config": []}',
        b"[" * 100_000,
        b'{"config": {"port": 1e999}}',
    ],
)
@pytest.mark.parametrize("name", ["config", "preview", "models", "playground"])
async def test_malformed_bodies_are_told_apart_politely(panel: Panel, name: str, body: bytes) -> None:
    tag = (await panel.get("config")).json["etag"]
    reply = await panel.post(name, body, {"If-Match": tag})
    assert reply.status in (400, 422)
    assert reply.error["message"]


async def test_every_reply_carries_the_protecting_headers(panel: Panel) -> None:
    for path in (*PATHS[:4], "/nowhere", "/mark.svg"):
        reply = await panel.ask("GET", path)
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert reply.headers["X-Frame-Options"] == "DENY"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["Cache-Control"] in ("no-store", "no-cache")


async def test_an_event_stream_of_another_site_is_refused(panel: Panel) -> None:
    headers = {"Origin": EVIL, "Sec-Fetch-Site": "cross-site", "Accept": "text/event-stream"}
    assert (await panel.ask("GET", "/nexus-ctrl/events", headers=headers)).status == 403


async def test_the_token_differs_from_process_to_process_and_is_long(panel: Panel) -> None:
    token = (await panel.get("session")).json["token"]
    assert len(token) >= 40


async def test_the_panel_listens_on_loopback_alone(panel: Panel) -> None:
    await asyncio.sleep(0)
    assert urlsplit(panel.url).hostname == "127.0.0.1"


def test_the_map_holds_the_page_and_nothing_else() -> None:
    files = _files()
    assert "/" in files
    assert all(path == "/" or path.rsplit(".", 1)[1] in ("js", "css", "svg") for path in files)
    assert not any(
        b"http://" in file.data.replace(b"http://www.w3.org", b"") and path == "/" for path, file in files.items()
    )
    json.dumps(sorted(files))
