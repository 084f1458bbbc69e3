"""Who asks, and may they: addresses, tokens, browser pages; alone and on a real socket."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from codex_nexus.errors import Forbidden, NexusError, Unauthorized
from codex_nexus.gateway.guard import admit, belongs_to_chatgpt, is_loopback, origin_allowed
from codex_nexus.routing import Caller
from tests.gateway.conftest import Serve
from tests.serving import CODEX, Served
from tests.upstream import Upstream, finish, sse, text
from tests.worlds import world

HELLO = sse([text("hi"), finish()])
TOKEN = "nexus-access-token"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJl"
HERE, THERE = "127.0.0.1", "192.168.1.20"


def asked(headers: dict[str, str] | None = None, peer: str | None = HERE, **config: Any) -> Caller:
    """Who is admitted with these headers from this address."""
    return admit(CIMultiDict(headers or {}), peer, world({"access_token": TOKEN} | config))


def bearer(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


# --- addresses


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "::1%lo", None, ""])
def test_this_machines_own_addresses(address: str | None) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    ["192.168.1.20", "10.0.0.1", "0.0.0.0", "::", "fe80::1%eth0", "::ffff:10.0.0.1", "8.8.8.8", "localhost", "?", "1"],
)
def test_other_addresses(address: str) -> None:
    assert not is_loopback(address)


# --- callers on this machine


def test_a_program_on_this_machine_is_the_owner() -> None:
    assert asked() == Caller(owner=True)
    assert asked(peer="::1") == Caller(owner=True)


def test_a_program_on_this_machine_may_bring_a_key() -> None:
    assert asked(bearer("sk-own")) == Caller(owner=True, bearer="sk-own")


def test_the_access_token_is_no_key() -> None:
    assert asked(bearer(TOKEN)) == Caller(owner=True)
    assert asked({"Authorization": f"bearer  {TOKEN} "}) == Caller(owner=True)


@pytest.mark.parametrize("headers", [bearer(JWT), bearer("sk-own") | {"ChatGPT-Account-ID": "acc"}])
def test_what_belongs_to_a_chatgpt_login_is_no_key(headers: dict[str, str]) -> None:
    assert asked(headers) == Caller(owner=True)
    assert belongs_to_chatgpt(CIMultiDict(headers), headers["Authorization"].removeprefix("Bearer "))


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "sk-own", "Bearer", "Bearer ", "Token sk-own", ""])
def test_what_is_no_bearer_is_no_key(value: str) -> None:
    assert asked({"Authorization": value}) == Caller(owner=True)


# --- callers from elsewhere


def test_a_caller_from_elsewhere_with_the_token_is_the_owner() -> None:
    assert asked(bearer(TOKEN), THERE) == Caller(owner=True)


def test_a_caller_from_elsewhere_with_a_key_is_a_guest_with_a_name() -> None:
    alice, again, bob = (asked(bearer(key), THERE) for key in ("sk-alice", "sk-alice", "sk-bob"))
    assert (alice.owner, alice.bearer) == (False, "sk-alice")
    assert alice == again
    assert alice.identity
    assert alice.identity != bob.identity
    assert "alice" not in alice.identity


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer(JWT),
        bearer("sk-own") | {"chatgpt-account-id": "acc"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Cookie": f"token={TOKEN}"},
    ],
    ids=["nothing", "empty", "jwt", "chatgpt", "basic", "bare", "cookie"],
)
def test_a_caller_from_elsewhere_with_nothing_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorized, match="access token") as caught:
        asked(headers, THERE)
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    assert TOKEN not in caught.value.message


@pytest.mark.parametrize("token", [TOKEN[:-1], TOKEN + "x", f"{TOKEN} x"])
def test_a_token_that_is_nearly_right_is_not_right(token: str) -> None:
    with pytest.raises(Unauthorized):
        asked(bearer(token), THERE)
    assert asked(bearer(token), HERE).bearer == ""


@pytest.mark.parametrize("token", [TOKEN.upper(), "sk-of-their-own"])
def test_another_key_is_not_the_token_either(token: str) -> None:
    assert not asked(bearer(token), THERE).owner


def test_without_an_access_token_nobody_from_elsewhere_is_the_owner() -> None:
    with pytest.raises(Unauthorized):
        asked(bearer(""), THERE, access_token="")
    assert not asked(bearer("x"), THERE, access_token="").owner


@pytest.mark.parametrize("name", ["X-Forwarded-For", "x-forwarded-for", "Forwarded", "X-Real-IP"])
def test_a_reverse_proxy_does_not_lend_its_address(name: str) -> None:
    with pytest.raises(Unauthorized):
        asked({name: "127.0.0.1"})
    assert asked({name: "203.0.113.7"} | bearer(TOKEN)).owner
    assert not asked({name: "127.0.0.1"} | bearer("sk-own")).owner


@pytest.mark.parametrize("token", ["\udcff\udcfe", "schlüssel", "鍵"])
def test_a_token_that_is_no_ascii_is_no_key(token: str) -> None:
    assert asked(bearer(token)) == Caller(owner=True)
    with pytest.raises(Unauthorized):
        asked(bearer(token), THERE)


@given(
    st.dictionaries(
        st.sampled_from(["Authorization", "Origin", "Host", "Sec-Fetch-Site", "X-Forwarded-For", "chatgpt-account-id"]),
        st.text(max_size=30) | st.text(max_size=30).map("Bearer {}".format) | st.sampled_from(["null", "cross-site"]),
    )
)
def test_no_header_makes_a_stranger_the_owner(headers: dict[str, str]) -> None:
    try:
        caller = asked(headers, THERE)
    except NexusError:
        return
    assert not caller.owner
    assert caller.bearer
    assert caller.identity


# --- browser pages

GOOD_ORIGINS = [
    "http://localhost:3000", "https://localhost", "http://127.0.0.1:5801", "http://[::1]:8080", "vscode-webview://abc",
    "vscode-file://vscode-app", "app://codex", "codex://x",
]  # fmt: skip
BAD_ORIGINS = [
    "https://evil.example", "http://localhost.evil.example", "http://127.0.0.1.evil.example", "null", "", "file://",
    "http://192.168.1.20", "chrome-extension://abcdef", "https://example.org.evil", "http://[::1", "ftp://localhost",
    "https://evil.example#http://localhost", "http://localhost@evil.example",
]  # fmt: skip


@pytest.mark.parametrize("origin", GOOD_ORIGINS)
def test_pages_of_this_machine_and_shells_are_allowed(origin: str) -> None:
    assert asked({"Origin": origin, "Host": "127.0.0.1:5800"}).owner


@pytest.mark.parametrize("origin", BAD_ORIGINS)
def test_other_pages_are_refused(origin: str) -> None:
    with pytest.raises(Forbidden) as caught:
        asked({"Origin": origin, "Host": "127.0.0.1:5800"})
    assert (caught.value.status, caught.value.code) == (403, "origin_not_allowed")


def test_a_page_is_allowed_by_name() -> None:
    config = {"allowed_origins": ["https://example.org"]}
    assert asked({"Origin": "https://example.org", "Host": "localhost:5800"}, **config).owner
    for origin in ("http://example.org", "https://example.org:8443", "https://sub.example.org"):
        with pytest.raises(Forbidden):
            asked({"Origin": origin, "Host": "localhost:5800"}, **config)


def test_a_star_allows_every_page() -> None:
    snapshot = world({"allowed_origins": ["*"]})
    assert origin_allowed("https://evil.example", snapshot)


def test_a_page_needs_the_token_from_elsewhere_too() -> None:
    with pytest.raises(Unauthorized):
        asked({"Origin": "http://localhost:3000"}, THERE)
    assert asked({"Origin": "http://localhost:3000"} | bearer(TOKEN), THERE).owner


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_requests_of_other_sites_without_an_origin_are_refused(site: str) -> None:
    with pytest.raises(Forbidden):
        asked({"Sec-Fetch-Site": site, "Host": "127.0.0.1:5800"})


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_a_person_who_opens_the_address_is_admitted(site: str) -> None:
    assert asked({"Sec-Fetch-Site": site, "Host": "127.0.0.1:5800"}).owner


@pytest.mark.parametrize("host", ["127.0.0.1:5800", "localhost", "LOCALHOST:5800", "[::1]:5800", "127.1.2.3"])
def test_a_browser_may_call_this_machine_by_its_names(host: str) -> None:
    assert asked({"Sec-Fetch-Site": "same-origin", "Host": host}).owner


@pytest.mark.parametrize("host", ["evil.example:5800", "localhost.evil.example", "192.168.1.20:5800", "", "[::1"])
def test_a_browser_may_not_call_it_by_a_foreign_name(host: str) -> None:
    with pytest.raises(Forbidden) as caught:
        asked({"Sec-Fetch-Site": "same-origin", "Host": host})
    assert caught.value.code == "host_not_allowed"


def test_a_program_may_call_it_by_any_name() -> None:
    assert asked({"Host": "host.docker.internal:5800"}).owner


def test_the_configured_names_are_the_gateways_own() -> None:
    config: dict[str, Any] = {"host": "box.lan", "allowed_origins": ["https://nexus.example.org"]}
    for host in ("box.lan:5800", "nexus.example.org"):
        assert asked({"Sec-Fetch-Site": "same-origin", "Host": host}, **config).owner


# --- on a real socket


async def test_a_foreign_page_is_refused_everywhere(gateway: Served, upstream: Upstream) -> None:
    evil = {"Origin": "https://evil.example"}
    for method, path in (
        ("POST", "/v1/responses"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("GET", "/nowhere"),
    ):
        reply = await gateway.ask(method, path, {"model": "gpt-5", "input": "hi"}, evil)
        assert (reply.status, reply.error["code"]) == (403, "origin_not_allowed")
        assert not [name for name in reply.headers if name.lower().startswith("access-control-")]
    assert upstream.requests == []


async def test_an_allowed_page_is_told_so(serve: Serve, upstream: Upstream) -> None:
    upstream.script(HELLO)
    gateway = await serve(allowed_origins=["https://example.org"])
    page = {"Origin": "https://example.org"}
    made = await gateway.create(page)
    replies = [
        made,
        await gateway.create(page, stream=True),
        await gateway.create(page, model=None),
        await gateway.create(page, previous_response_id="resp_none"),
        await gateway.get("/v1/models", page),
        await gateway.get(f"/v1/responses/{made.json['id']}", page),
        await gateway.get("/nowhere", page),
        await gateway.ask("POST", "/v1/chat/completions", {"model": "m", "messages": []}, page),
        await gateway.ask("POST", "/v1/chat/completions", {}, page),
    ]
    assert [reply.status for reply in replies] == [200, 200, 400, 400, 200, 200, 404, 200, 400]
    for reply in replies:
        assert reply.headers["Access-Control-Allow-Origin"] == "https://example.org"
        assert reply.headers["Vary"] == "Origin"


async def test_a_refusal_of_a_provider_can_be_read_by_an_allowed_page(gateway: Served, upstream: Upstream) -> None:
    page = {"Origin": "http://localhost:3000"}
    upstream.script(sse([]))
    upstream.script()
    for path in ("/v1/responses", "/v1/chat/completions"):
        reply = await gateway.ask("POST", path, {"model": "gpt-5", "input": "hi"}, page)
        assert reply.status == 500
        assert reply.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


async def test_programs_are_told_nothing_about_origins(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    for reply in (await gateway.create(CODEX), await gateway.get("/v1/models")):
        assert not [name for name in reply.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/models", "/v1/chat/completions", "/responses/x", "/anything"])
async def test_a_preflight_is_answered(gateway: Served, path: str) -> None:
    wish = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, x-custom",
    }
    reply = await gateway.ask("OPTIONS", path, headers=wish)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert "POST" in reply.headers["Access-Control-Allow-Methods"]
    assert reply.headers["Access-Control-Allow-Headers"] == "authorization, x-custom"


async def test_a_preflight_of_a_foreign_page_is_refused(gateway: Served) -> None:
    wish = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    reply = await gateway.ask("OPTIONS", "/v1/responses", headers=wish)
    assert reply.status == 403
    assert not [name for name in reply.headers if name.lower().startswith("access-control-allow")]


async def test_a_program_may_ask_what_is_allowed(gateway: Served) -> None:
    reply = await gateway.ask("OPTIONS", "/v1/responses")
    assert (reply.status, reply.body) == (204, b"")
    assert "POST" in reply.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Origin" not in reply.headers


async def test_an_allowed_page_elsewhere_may_call_this_machine(serve: Serve) -> None:
    gateway = await serve(allowed_origins=["https://good.example"])
    wish = {"Origin": "https://good.example", "Access-Control-Request-Private-Network": "true"}
    reply = await gateway.ask("OPTIONS", "/v1/responses", headers=wish)
    assert (reply.status, reply.headers["Access-Control-Allow-Private-Network"]) == (204, "true")


async def test_a_request_of_another_site_is_refused(gateway: Served) -> None:
    reply = await gateway.get("/v1/models", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"})
    assert (reply.status, reply.error["code"]) == (403, "origin_not_allowed")


async def test_a_browser_under_a_foreign_name_is_refused(gateway: Served) -> None:
    reply = await gateway.get("/v1/models", {"Host": "evil.example", "Sec-Fetch-Site": "same-origin"})
    assert (reply.status, reply.error["code"]) == (403, "host_not_allowed")
    page = {"Host": "evil.example", "Origin": "http://evil.example"}
    assert (await gateway.create(page)).error["code"] == "origin_not_allowed"


async def test_a_caller_behind_a_proxy_needs_the_token(serve: Serve, upstream: Upstream) -> None:
    upstream.script(HELLO)
    gateway = await serve(access_token=TOKEN)
    proxied = {"X-Forwarded-For": "203.0.113.7"}
    for path in ("/v1/responses/resp_1", "/v1/models", "/nowhere"):
        reply = await gateway.get(path, proxied)
        assert (reply.status, reply.error["type"]) == (401, "authentication_error")
    assert (await gateway.create(proxied)).status == 401
    assert (await gateway.create(proxied | bearer(TOKEN))).status == 200
    assert TOKEN not in str([request.headers for request in upstream.requests])


async def test_a_stranger_does_not_use_the_owners_local_models(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(access_token=TOKEN, api_key="")
    reply = await gateway.create({"X-Forwarded-For": "203.0.113.7"} | bearer("anything"))
    assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
    assert upstream.requests == upstream.lookups == []


async def test_everybody_may_ask_whether_it_is_alive(gateway: Served) -> None:
    for headers in ({}, {"X-Forwarded-For": "203.0.113.7"}, {"Host": "evil.example"}):
        assert (await gateway.get("/healthz", headers)).status == 200


async def test_odd_bytes_in_a_token_break_nothing(serve: Serve, upstream: Upstream) -> None:
    upstream.script(HELLO)
    gateway = await serve(access_token=TOKEN, api_key="")
    body = b'{"model":"gpt-5","input":"hi"}'
    head = b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\xfe\xfd\r\n"
    answer = await gateway.raw(head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert "authorization" not in upstream.requests[0].headers
