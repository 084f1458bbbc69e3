"""What the doctor says of files, ports, the gateway and Codex."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from codex_nexus import __version__
from codex_nexus.codex_home.inject import Place, apply
from codex_nexus.codex_home.wish import Wish
from codex_nexus.doctor import machine
from tests.doctor.conftest import GOOD_CODEX, TOKEN, Chain, posix

pytestmark = posix

HEALTH = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"


@pytest.fixture
def injected(chain: Chain) -> Chain:
    """The chain with our part in Codex's configuration."""
    apply(Place(chain.codex_home, None), Wish(address=f"http://127.0.0.1:{chain.config['port']}", token=TOKEN))
    chain.offline = True
    return chain


# --- files


async def test_the_defaults_hold_without_files(chain: Chain) -> None:
    for path in chain.home.iterdir():
        path.unlink()
    chain.offline = True
    found = await chain.examine()
    assert found["config"].state == "ok"
    assert "defaults" in found["config"].sentence
    assert "config.mode" not in found


async def test_every_problem_of_config_json(chain: Chain) -> None:
    chain.config |= {"port": "x", "language": "fr", "custom_upstream": "nowhere", "model_overrides": {"nobody": {}}}
    chain.write()
    said = [finding for finding in (await chain.look()).read if finding.check == "config"]
    assert [finding.state for finding in said] == ["fault"] * 4
    assert {finding.sentence.split()[1].rstrip(":") for finding in said} == {
        "port", "language", "custom_upstream", "model_overrides.nobody",
    }  # fmt: skip


async def test_broken_json_stays_where_it_is(chain: Chain) -> None:
    path = chain.home / "config.json"
    path.write_text('{"port": 5800,\n  oops}')
    found = await chain.examine()
    assert found["config"].state == "fault"
    assert "line 2, column 3" in found["config"].sentence
    assert path.read_text() == '{"port": 5800,\n  oops}'
    assert not any(name.startswith("provider.") for name in found)


@pytest.mark.parametrize("content", [b"[1]", b"\xff\xfe", b"[" * 100_000])
async def test_no_object(chain: Chain, content: bytes) -> None:
    (chain.home / "config.json").write_bytes(content)
    assert (await chain.examine())["config"].state == "fault"


async def test_unknown_keys_are_named(chain: Chain) -> None:
    chain.config["prot"] = 1
    chain.write()
    chain.offline = True
    found = await chain.examine()
    assert found["config"].state == "warning"
    assert "prot" in found["config"].sentence


async def test_wrong_providers_json(chain: Chain) -> None:
    chain.record["dialect"] = {"no_such_field": 1}
    chain.write()
    found = await chain.examine()
    assert found["providers"].state == "fault"
    assert "no_such_field" in found["providers"].sentence


async def test_a_vision_model_that_cannot_see(chain: Chain) -> None:
    chain.config["vision_model"] = "deepseek/deepseek-v4-pro"
    chain.write()
    found = await chain.examine()
    assert found["config.vision"].state == "warning"
    assert "takes no images itself" in found["config.vision"].sentence
    chain.config["vision_model"] = "acme/eyes"
    chain.write()
    assert "config.vision" not in await chain.examine()


async def test_others_may_read_the_keys(chain: Chain) -> None:
    chain.offline = True
    (chain.home / "config.json").chmod(0o644)
    found = await chain.examine()
    assert found["config.mode"].state == "warning"
    assert found["config.mode"].cure == f"chmod 600 {chain.home / 'config.json'}"


# --- ports and the gateway


async def test_with_the_gateway_down(chain: Chain) -> None:
    chain.offline = True
    found = await chain.examine()
    assert found["port"].state == "ok"
    assert found["gateway"].state == "warning"
    assert found["codex.catalogue"].state == "ok"


@pytest.mark.parametrize("known", [True, False])
async def test_a_stranger_holds_the_port(
    chain: Chain, listening: Callable[[int, bytes], Any], monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr(machine, "holder_of", lambda _: "nginx, process 7" if known else "")
    chain.offline = True
    await listening(chain.config["port"], b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    found = await chain.examine()
    assert found["port"].state == "fault"
    assert ("held by nginx, process 7" in found["port"].sentence) is known
    assert (f"lsof -i :{chain.config['port']}" in found["port"].cure) is not known


@pytest.mark.parametrize(("version", "state"), [(__version__, "ok"), ("0.0.1", "warning")])
async def test_the_gateways_version(
    chain: Chain, listening: Callable[[int, bytes], Any], version: str, state: str
) -> None:
    chain.offline = True
    body = json.dumps({"status": "ok", "name": "codex-nexus", "version": version}).encode()
    await listening(chain.config["port"], HEALTH + body)
    found = await chain.examine()
    assert found["port"].state == "ok"
    assert found["gateway"].state == state


async def test_any_port(chain: Chain) -> None:
    chain.config["port"] = 0
    chain.offline = True
    chain.write()
    assert (await chain.examine())["port"].state == "ok"


async def test_a_full_disk(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5 << 20))
    chain.offline = True
    disk = (await chain.examine())["disk"]
    assert disk.state == "warning"
    assert "5 MB" in disk.sentence


async def test_a_large_database(chain: Chain) -> None:
    chain.offline = True
    with (chain.home / "nexus.db").open("wb") as file:
        file.truncate(3 << 30)  # a hole; takes no room
    database = (await chain.examine())["database"]
    assert database.state == "warning"
    assert "3.0 GB" in database.sentence


@pytest.mark.parametrize("url", ["", "sqlite:///{home}/other.db"])
@pytest.mark.parametrize(("version", "said"), [(99, "made by a newer version (99)"), (None, "not a database"), (0, "")])
async def test_a_database_that_cannot_be_used(chain: Chain, url: str, version: int | None, said: str) -> None:
    chain.offline = True
    path = chain.home / ("other.db" if url else "nexus.db")
    chain.config["store"] = url.format(home=chain.home)
    chain.write()
    path.write_text("no database, but long enough to look like something else" * 100)
    if version is not None:
        path.unlink()
        with contextlib.closing(sqlite3.connect(path)) as made:
            made.execute("CREATE TABLE one (a)")
            made.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    database = (await chain.examine())["database"]
    assert database.state == ("warning" if said else "ok")
    assert said in database.sentence
    assert path.read_bytes() == before


# --- Codex


async def test_no_codex(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_BIN", "no-such-codex")
    chain.offline = True
    found = await chain.examine()
    assert found["codex"].state == "warning"
    assert "CODEX_BIN names 'no-such-codex'" in found["codex"].sentence
    assert "codex.catalogue" not in found


@pytest.mark.parametrize(
    ("version", "state", "word"),
    [
        ("0.143.0", "warning", "older"),
        ("0.144.0", "warning", "metadata"),
        ("0.160.1", "warning", "metadata"),
        ("0.161.0", "ok", "tried"),
        ("0.169.0", "ok", "tried"),
        ("0.170.0-alpha.1", "warning", "newer"),
        ("1.0.0", "warning", "newer"),
    ],
)
async def test_codex_versions(chain: Chain, version: str, state: str, word: str) -> None:
    chain.offline = True
    chain.write_codex(GOOD_CODEX.format(version=version))
    found = await chain.examine()
    assert found["codex.version"].state == state
    assert word in found["codex.version"].sentence


async def test_a_codex_that_does_not_run(chain: Chain) -> None:
    chain.offline = True
    chain.write_codex("#!/bin/sh\necho cannot find my libraries >&2; exit 3\n")
    found = await chain.examine()
    assert found["codex"].state == "fault"
    assert "cannot find my libraries" in found["codex"].sentence
    assert found["codex.catalogue"].state == "fault"


@pytest.mark.parametrize("script", ["echo missing field x >&2; exit 1", "echo '{\"models\": []}'", "echo no json"])
async def test_a_codex_that_refuses_the_catalogue(chain: Chain, script: str) -> None:
    chain.offline = True
    chain.write_codex(f'#!/bin/sh\n[ "$1" = --version ] && echo codex-cli 0.169.0 && exit\n{script}\n')
    assert (await chain.examine())["codex.catalogue"].state == "fault"


async def test_our_part_is_missing(chain: Chain) -> None:
    chain.offline = True
    found = await chain.examine()
    for name in ("codex.config", "codex.profile"):
        assert found[name].state == "warning"
        assert "codex-nexus inject" in found[name].cure


async def test_our_part_is_there(injected: Chain) -> None:
    found = await injected.examine()
    assert found["codex.config"].state == "ok"
    assert found["codex.profile"].state == "ok"


@pytest.mark.parametrize(
    ("key", "value", "word"), [("port", None, "base_url"), ("access_token", "nexus-another-token", "access_token")]
)
async def test_our_part_has_drifted(injected: Chain, key: str, value: Any, word: str) -> None:
    injected.config[key] = injected.config["port"] - 1 if value is None else value
    injected.write()
    found = await injected.examine()
    for name in ("codex.config", "codex.profile"):
        assert found[name].state == "fault"
        assert word in found[name].sentence
        assert TOKEN not in found[name].sentence
        assert found[name].cure.startswith("codex-nexus inject")


async def test_codex_chooses_a_provider_that_is_not_there(chain: Chain) -> None:
    chain.offline = True
    (chain.codex_home / "config.toml").write_text('model_provider = "codex-nexus"\n')
    found = await chain.examine()
    assert found["codex.config"].state == "fault"
    assert "does not start" in found["codex.config"].sentence


@pytest.mark.parametrize("content", [b'model = "x"\nmodel_provider = \n', b"model = 'caf\xe9'\n"])
async def test_broken_toml(chain: Chain, content: bytes) -> None:
    chain.offline = True
    (chain.codex_home / "config.toml").write_bytes(content)
    (chain.codex_home / "nexus.config.toml").write_bytes(content)
    found = await chain.examine()
    assert found["codex.config"].state == "fault"
    assert found["codex.profile"].state == "fault"
    assert "line 2, column 18" in found["codex.config"].sentence or b"caf" in content


@pytest.mark.parametrize(
    ("content", "state", "word"),
    [
        ('{"tokens": {"access_token": "eyJsecret"}}', "ok", "ChatGPT"),
        ('{"OPENAI_API_KEY": "sk-other-000000"}', "ok", "API key"),
        ("{}", "ok", "no login"),
        ("{", "warning", "cannot be read"),
    ],
)
async def test_codex_logins(chain: Chain, content: str, state: str, word: str) -> None:
    chain.offline = True
    path = chain.codex_home / "auth.json"
    path.write_text(content)
    login = (await chain.examine())["codex.login"]
    assert login.state == state
    assert word in login.sentence
    assert path.read_text() == content


async def test_a_check_that_fails_is_a_finding(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: Any) -> Any:
        raise RuntimeError("oh")

    monkeypatch.setattr("codex_nexus.doctor.machine.disk", broken)
    chain.offline = True
    found = await chain.examine()
    assert found["doctor"].state == "fault"
    assert found["database"].state == "ok"


async def test_nothing_is_changed(injected: Chain) -> None:
    """The doctor writes nothing into either home."""
    before = pictured(injected)
    await injected.examine()
    assert pictured(injected) == before


def pictured(chain: Chain) -> dict[str, bytes]:
    files = [path for home in (chain.home, chain.codex_home) for path in home.rglob("*") if path.is_file()]
    return {os.fspath(path): path.read_bytes() for path in files}
