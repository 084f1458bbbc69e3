"""What is no HTTP request: the one error envelope, one line in the log, no traceback, and no key in either."""

from __future__ import annotations

import json
import logging

import pytest

from codex_nexus.gateway.refusals import Refusals
from tests.serving import Served
from tests.worlds import world

SECRET = "sk-a-key-in-a-broken-head"
HEAD = b"Host: here\r\nAuthorization: Bearer " + SECRET.encode() + b"\r\n"
CASES = {
    "unknown method": (b"FOO /v1/responses HTTP/1.1\r\n" + HEAD, 405, "HTTP method is unknown"),
    "no request line": (b"hello, is anybody there?\r\n" + HEAD, 400, "no valid HTTP request"),
    "unknown version": (b"GET /v1/models HTTP/9.9\r\n" + HEAD, 400, "no valid HTTP request"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "http://"),
    "broken header": (b"GET /v1/models HTTP/1.1\r\nAuthorization " + SECRET.encode() + b"\r\n", 400, "no valid HTTP"),
    "long header": (b"GET /v1/models HTTP/1.1\r\nA: " + SECRET.encode() * 900 + b"\r\n", 431, "8190"),
    "unknown expectation": (b"GET /v1/models HTTP/1.1\r\nExpect: a miracle\r\n" + HEAD, 417, "100-continue"),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_is_no_request_gets_the_envelope_and_one_line(case: str, caplog: pytest.LogCaptureFixture) -> None:
    data, status, words = CASES[case]
    caplog.set_level(logging.DEBUG)
    async with Served(world(), None) as gateway:
        caplog.clear()
        head, _, body = (await gateway.raw(data + b"\r\n")).partition(b"\r\n\r\n")
        said = [record for record in caplog.records if record.name != "asyncio"]
    assert head.split()[1] == str(status).encode()
    assert b"Content-Type: application/json" in head
    error = json.loads(body)["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], words in error["message"]) == ("invalid_request_error", True), error
    assert [record.name for record in said] == ["codex_nexus.gateway"]
    assert "127.0.0.1" in said[0].getMessage()
    assert error["message"] in said[0].getMessage()
    assert said[0].exc_info is None
    assert SECRET not in body.decode() + said[0].getMessage()


async def test_an_unknown_method_is_told_the_known_ones() -> None:
    async with Served(world(), None) as gateway:
        assert b"\r\nAllow: GET, POST" in await gateway.raw(CASES["unknown method"][0] + b"\r\n")


async def test_who_waits_for_a_go_ahead_gets_it() -> None:
    async with Served(world(), None) as gateway:
        head = b"POST /v1/responses HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 2\r\n"
        answer = await gateway.raw(head + b"Expect: 100-Continue\r\n\r\n{}")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400")


# --- the lines


async def test_callers_who_are_turned_away_do_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "codex_nexus.gateway")
    async with Served(world(), None) as gateway:
        for _ in range(30):
            assert (await gateway.get("/v1/models", {"X-Forwarded-For": "10.0.0.3"})).status == 401
            assert (await gateway.get("/v1/models", {"Origin": "https://evil.example"})).status == 403
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 20
    assert lines[0].startswith("GET /v1/models from 127.0.0.1 refused: This gateway asks callers")
    assert lines[1].startswith("GET /v1/models from 127.0.0.1 refused: Pages of https://evil.example")


def test_the_next_line_tells_how_many_were_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "codex_nexus.gateway")
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    for n in range(25):
        refusals.note(f"line {n}")
    now[0] = 61.0
    refusals.note("late")
    refusals.note("later")
    said = [record.getMessage() for record in caplog.records]
    assert said[19:] == ["line 19", "late (5 more refusals before this one were not written down)", "later"]
