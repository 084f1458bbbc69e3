"""What is shown: lines, JSON, exit codes, and never a secret."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex_nexus.cli import main
from codex_nexus.doctor import run
from codex_nexus.doctor.finding import Cleaner, Finding, exit_code, fault, ok, warning, worst
from tests.doctor.conftest import KEY, TOKEN, Chain, posix
from tests.upstream import status

pytestmark = posix


def test_exit_codes_and_states() -> None:
    fine, doubt, broken, wrong = ok("a", "x"), warning("a", "x", "y"), fault("a", "x", "y"), fault("config", "x", "y")
    assert [exit_code(found) for found in ([], [fine, doubt], [doubt, broken], [broken, wrong])] == [0, 0, 1, 2]
    assert [worst(found) for found in ([], [fine, doubt], [doubt, broken, fine])] == ["ok", "warning", "fault"]


KEYS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=8, max_size=40)


@given(keys=st.lists(KEYS, min_size=1, max_size=4), words=st.text(max_size=30), state=st.sampled_from(["ok", "fault"]))
def test_no_key_is_left_in_a_finding(keys: list[str], words: str, state: Any) -> None:
    said = words.join(["", *keys, f"http://me:{keys[0]}@proxy:1", ""])
    shown = Cleaner(tuple(keys), Path("/home/me")).finding(Finding(said, state, said, said))
    for key in keys:
        for text in (shown.check, shown.sentence, shown.cure):
            assert key not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/me/.codex and /home/me", "~/.codex and ~"),
        ("/home/mean/x", "/home/mean/x"),
        ("at http://user:pass@host/v1", "at http://***@host/v1"),
        ("http://host/v1?a=1&api-key=abc&b=2", "http://host/v1?a=1&api-key=***&b=2"),
        ("two\nlines\x1b[31m red", "two lines [31m red"),
        ("x" * 700, "x" * 600),
    ],
)
def test_texts_are_cleaned(text: str, shown: str) -> None:
    assert Cleaner((), Path("/home/me")).text(text) == shown


async def test_json(chain: Chain, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: chain.folder)
    assert await run(chain.home, as_json=True) == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert report["state"] == "warning"  # no gateway, nothing injected
    assert set(report["versions"]) == {"codex-nexus", "codex", "gateway", "python", "aiohttp", "system"}
    assert report["versions"]["codex"] == "0.169.0"
    assert report["home"] == "~/nexus"
    assert report["offline"] is False
    for finding in report["findings"]:
        assert set(finding) == {"check", "state", "sentence", "cure"}
        assert finding["state"] in ("ok", "warning", "fault")
        assert re.fullmatch(r"[a-z]+(\.[a-z0-9-]+)*", finding["check"])
        assert finding["sentence"].endswith((".", "`."))
        assert bool(finding["cure"]) == (finding["state"] != "ok")
    assert str(chain.folder) not in shown.out
    assert shown.err == ""


async def test_lines(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(chain.home) == 0
    shown = capsys.readouterr().out
    assert "a few tokens" in shown
    assert "ok      Acme lists acme-1 among 2 models." in shown.splitlines()
    assert "         -> codex-nexus inject" in shown.splitlines()
    assert re.search(r"^\d+ ok, 3 warnings, 0 faults\.$", shown.splitlines()[-1])
    assert "\x1b" not in shown


async def test_exit_code_of_a_fault(chain: Chain) -> None:
    chain.upstream.script(status(401, {"error": {"message": "no"}}))
    assert await run(chain.home) == 1


def test_the_verb(chain: Chain, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_NEXUS_HOME", str(chain.home))
    assert main(["doctor", "--offline", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["offline"] is True
    (chain.home / "config.json").write_text('{"port": "x"}')
    assert main(["doctor", "--offline"]) == 2
    assert "port: expected a whole number" in capsys.readouterr().out


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=KEYS, token=KEYS, password=KEYS, wrong=st.booleans())
def test_no_secret_in_any_output(
    chain: Chain, capsys: pytest.CaptureFixture[str], key: str, token: str, password: str, wrong: bool
) -> None:
    """Whatever is wrong, and though the provider repeats the key."""
    key, token, password = f"k1{key}", f"t2{token}", f"p3{password}"
    chain.upstream.script(status(401, {"error": {"message": f"The key {key} or {token} or {password} is wrong"}}))
    chain.config |= {
        "provider_api_keys": {"acme": [key, "env:NOT_SET_ANYWHERE"]},
        "access_token": token,
        "provider_proxies": {"custom": f"http://user:{password}@127.0.0.1:9"},
        "port": 5801,
    }
    for name in ("outbound_proxy", "model_overrides"):
        chain.config.pop(name, None)
    if wrong:
        chain.config |= {"outbound_proxy": f"ftp://user:{password}@host", "model_overrides": {key: {}}}
    chain.write()
    named = {"name": "Codex Nexus", "base_url": f"http://x:{password}@h", "experimental_bearer_token": token}
    block = "[model_providers.codex-nexus]\n" + "".join(f'{name} = "{value}"\n' for name, value in named.items())
    (chain.codex_home / "config.toml").write_text(block)
    shown = ""
    for flags in ([], ["--json"]):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CODEX_NEXUS_HOME", str(chain.home))
            main(["doctor", "--offline", *flags])
        shown += "".join(capsys.readouterr())
    for secret in (key, token):
        assert secret not in shown
    assert f":{password}@" not in shown


async def test_a_provider_that_repeats_the_key(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    chain.upstream.script(status(401, {"error": {"message": f"Bad: {KEY}; {TOKEN}"}}))
    await run(chain.home)
    await run(chain.home, as_json=True)
    shown = "".join(capsys.readouterr())
    assert "Bad: ***" in shown
    assert KEY not in shown
    assert TOKEN not in shown


async def test_what_refusals_taught_is_told(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    until = time.time() + 3600
    known = {"heals": ["drop_field:store", "system_head"], "at": chain.upstream.base_url, "until": until}
    over = {"heals": ["drop_field:user"], "at": chain.upstream.base_url, "until": 1}
    repairs = {"acme/acme-1": known, "acme/acme-2": over}
    (chain.home / "learned.json").write_text(json.dumps({"repairs": repairs}))
    await run(chain.home, as_json=True, offline=True)
    said = [finding for finding in json.loads(capsys.readouterr().out)["findings"] if finding["check"] == "learned"]
    [finding] = said
    assert finding["state"] == "ok"
    assert finding["sentence"].startswith("acme/acme-1 refused a request and is asked differently until 20")
    assert "'store' is left out; all instructions stand in one system message" in finding["sentence"]
