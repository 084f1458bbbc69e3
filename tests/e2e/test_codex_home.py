"""The real Codex with our part in its home, without it, and with everything around it broken."""

import hashlib
import json
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.app_server import AppServer
from tests.e2e.codex import PATIENCE, CodexHome, CodexRun
from tests.e2e.gateway_process import MODEL, TOKEN, GatewayProcess
from tests.e2e.test_codex_exec import ran_well, say
from tests.upstream import Upstream
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

RICH = b"""\
#:schema https://example.invalid/codex.json
# my configuration, by hand\r
model = "gpt-5.5"   # the one I like
model_providers.local.name = "Local"            # dotted on purpose
model_providers.local.base_url = "http://127.0.0.1:1/v1"
notify = [
  "true", # ]
]

[features]
plugins = false
apps = false
remote_plugin = false

[analytics]
enabled = false

  [projects."/some/where"]  # indented
  trust_level = "trusted"

[tui]
notifications = false

[mcp_servers.none]
command = "true"
enabled = false
env = { A = "1", "b.c" = 'two' }
# the end, without a newline"""


# --- the world


@pytest.fixture
def gateway(upstream: Upstream, tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway whose configuration says its port."""
    process = GatewayProcess(tmp_path, upstream.base_url)
    process.config["port"] = process.port
    with process:
        yield process
        print(process.log)


def command(codex: CodexHome, home: Path, *args: str, **environ: str) -> CodexRun:
    """A verb of ours, in the same surroundings as Codex."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "codex_nexus", *args],
        check=False,
        cwd=codex.repo,
        env=codex._environment() | {"CODEX_NEXUS_HOME": str(home)} | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
    )
    output, errors = (part.decode("utf-8", "replace") for part in (done.stdout, done.stderr))
    return CodexRun(args, done.returncode, output, errors, time.monotonic() - began, ended_by_us=False)


def well(run: CodexRun) -> CodexRun:
    assert run.returncode == 0, run
    return run


def starts(codex: CodexHome) -> CodexRun:
    """Codex reads its configuration and says what it found: the same start as for a turn."""
    return well(codex._run("features", "list"))


def tree(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- with everything well


def test_codex_works_with_our_part_in_a_rich_home_and_gets_its_bytes_back(
    codex: CodexHome, gateway: GatewayProcess, upstream: Upstream
) -> None:
    upstream.script(say("fine"))
    codex.config_file.write_bytes(RICH)
    well(command(codex, gateway.home, "inject"))
    starts(codex)
    run = codex.exec("hello", "-c", "model_provider=codex-nexus", "-m", MODEL)
    ran_well(run)
    run = codex._run("-p", "nexus", "exec", "--skip-git-repo-check", "hello")
    ran_well(run)
    assert f"model: {MODEL}" in run.output
    assert "provider: codex-nexus" in run.output
    assert "metadata" not in run.output, run
    assert len(upstream.requests) == 2
    well(command(codex, gateway.home, "eject"))
    assert codex.config_file.read_bytes() == RICH
    assert not (codex.codex_home / "nexus.config.toml").exists()
    starts(codex)


def test_the_switched_default_serves_a_turn_and_gives_the_bytes_back(
    codex: CodexHome, gateway: GatewayProcess, upstream: Upstream
) -> None:
    upstream.script(say("switched"))
    codex.config_file.write_bytes(RICH)
    well(command(codex, gateway.home, "inject", "--switch-default"))
    run = codex.exec("hello")
    ran_well(run)
    assert f"model: {MODEL}" in run.output
    well(command(codex, gateway.home, "eject"))
    assert codex.config_file.read_bytes() == RICH


def test_codex_finds_its_own_doctor_content_with_our_provider(codex: CodexHome, gateway: GatewayProcess) -> None:
    codex.config_file.write_bytes(RICH)
    well(command(codex, gateway.home, "inject", "--switch-default"))
    run = codex._run("doctor", "--json")
    checks = json.loads(run.stdout)["checks"]
    ours = {
        name: check for name, check in checks.items() if "reachability" in name or "auth" in name or "config" in name
    }
    assert ours, checks
    assert {check["status"] for check in ours.values()} <= {"ok"}, ours


def test_the_pickers_of_ide_and_app_show_our_models(codex: CodexHome, gateway: GatewayProcess) -> None:
    codex.config_file.write_bytes(RICH)
    well(command(codex, gateway.home, "inject", "--switch-default"))
    with AppServer([str(codex.binary), "app-server"], codex) as server:
        models = server.call("model/list", {})["data"]
    assert models[0]["model"] == MODEL, models
    assert not [model for model in models if model["model"].startswith("gpt-")], models


def test_what_codex_itself_writes_stays(codex: CodexHome, gateway: GatewayProcess) -> None:
    plain = RICH.replace(b"\r\n", b"\n") + b"\n"
    codex.config_file.write_bytes(plain)
    well(command(codex, gateway.home, "inject", "--switch-default"))
    edits = [
        {"keyPath": "projects./srv/x", "value": {"trust_level": "trusted"}, "mergeStrategy": "upsert"},
        {"keyPath": "approval_policy", "value": "never", "mergeStrategy": "replace"},
        {"keyPath": "mcp_servers.new", "value": {"command": "true", "enabled": False}, "mergeStrategy": "replace"},
        {"keyPath": "model", "value": "another-model", "mergeStrategy": "replace"},
    ]
    with AppServer([str(codex.binary), "app-server"], codex) as server:
        for edit in edits:
            server.call("config/value/write", edit)
    written = codex.config_file.read_text()
    print(written)
    again = well(command(codex, gateway.home, "inject"))
    assert "Nothing to do" in again.stdout, again
    well(command(codex, gateway.home, "eject"))
    left = codex.config_file.read_text()
    print(left)
    assert "codex-nexus" not in left
    added = [line for line in left.splitlines() if line not in plain.decode().splitlines()]
    assert 'approval_policy = "never"' in added
    assert "[mcp_servers.new]" in added
    assert [line for line in plain.decode().splitlines() if line not in left.splitlines()] == []
    assert 'model = "gpt-5.5"   # the one I like' in left
    starts(codex)


@pytest.mark.parametrize(
    "text",
    [
        b'model = "gpt-5.5"\nmodel_providers = { local = { name = "L", base_url = "http://127.0.0.1:1/v1" } } # keep\n',
        b'model_providers = { local = { name = "L" } }',
        b'\xef\xbb\xbf# c\r\nmodel = "gpt-5.5" # x\r\ntui = { notifications = true }\r\n# end\r\n',
        b'model = "gpt-5.5"\n[model_providers.codex-nexus]\nname = "mine"\n# c\nbase_url = "http://127.0.0.1:1/v1"',
        b"# only a comment",
    ],
)
@pytest.mark.parametrize("switch", [[], ["--switch-default"]])
def test_codex_can_write_into_every_file_that_we_have_edited(codex: CodexHome, text: bytes, switch: list[str]) -> None:
    home = codex.folder / "nexus"
    home.mkdir()
    (home / "config.json").write_text('{"port": 5899, "access_token": "nexus-token"}')
    codex.config_file.write_bytes(text)
    well(command(codex, home, "inject", *switch))
    provider = {"name": "Extra", "base_url": "http://127.0.0.1:2/v1"}
    edits = {"projects./w": {"trust_level": "trusted"}, "model": "picked", "model_providers.extra": provider}
    with AppServer([str(codex.binary), "app-server"], codex) as server:
        for key, value in {**edits, "tui.notifications": False}.items():
            server.call("config/value/write", {"keyPath": key, "value": value, "mergeStrategy": "upsert"})
    starts(codex)
    well(command(codex, home, "inject", *switch))
    starts(codex)
    well(command(codex, home, "eject"))
    starts(codex)
    left = codex.config_file.read_bytes().decode("utf-8-sig")
    mine = b"mine" in text
    assert ("codex-nexus" in left) is mine
    data = tomllib.loads(left)
    assert data["model_providers"]["extra"] == provider
    assert data["projects"] == {"/w": {"trust_level": "trusted"}}
    assert data["tui"] == {"notifications": False}
    assert data["model_providers"].get("local", {}).get("name", "L") == "L"


# --- run: no byte of the home changes


@pytest.mark.parametrize("running", [True, False])
def test_run_serves_a_turn_and_changes_no_file(
    codex: CodexHome, upstream: Upstream, gateway: GatewayProcess, running: bool
) -> None:
    if not running:
        gateway.stop()
    upstream.script(say("fine"))
    codex.config_file.write_bytes(RICH)
    (codex.codex_home / "auth.json").write_text('{"OPENAI_API_KEY": "sk-mine"}')
    (codex.codex_home / "models_cache.json").write_text('{"models": []}')
    starts(codex)
    before = tree(codex.codex_home)
    words = ["exec", "--skip-git-repo-check", "hello"]
    run = well(command(codex, gateway.home, "run", "--", str(codex.binary), *words))
    assert "fine" in run.stdout
    assert f"model: {MODEL}" in run.output
    assert "[nexus]" not in run.output
    after = tree(codex.codex_home)
    its_own = (".sqlite", ".sqlite-wal", ".sqlite-shm")  # Codex's own books of its threads
    changed = [name for name in before if after.get(name) != before[name] and not name.endswith(its_own)]
    assert not changed
    assert "nexus" not in " ".join(set(after) - set(before))
    assert not list(gateway.home.glob("run-*.json"))
    assert TOKEN not in " ".join(run.args)


def test_run_works_for_a_home_with_our_part_in_it_and_for_the_app_server(
    codex: CodexHome, gateway: GatewayProcess, upstream: Upstream
) -> None:
    upstream.script(say("fine"))
    well(command(codex, gateway.home, "inject"))
    before = codex.config_file.read_bytes()
    words = ["exec", "--skip-git-repo-check", "-m", "picked-by-hand", "hello"]
    run = well(command(codex, gateway.home, "run", "--", str(codex.binary), *words))
    assert "model: picked-by-hand" in run.output
    args = [sys.executable, "-m", "codex_nexus", "run", "--", str(codex.binary), "app-server"]
    with AppServer(args, codex, CODEX_NEXUS_HOME=str(gateway.home)) as server:
        models = server.call("model/list", {})["data"]
    assert models[0]["model"] == MODEL
    assert codex.config_file.read_bytes() == before


def test_run_passes_the_exit_code_on(codex: CodexHome, gateway: GatewayProcess) -> None:
    run = command(codex, gateway.home, "run", "--", str(codex.binary), "exec", "--no-such-flag")
    assert run.returncode == 2, run


# --- with something broken: Codex starts all the same


def test_codex_starts_when_the_gateway_is_stopped_and_when_its_folder_is_gone(
    codex: CodexHome, gateway: GatewayProcess
) -> None:
    codex.config_file.write_bytes(RICH)
    well(command(codex, gateway.home, "inject", "--switch-default"))
    gateway.stop()
    starts(codex)
    shutil.rmtree(gateway.home)
    starts(codex)
    with AppServer([str(codex.binary), "app-server"], codex) as server:
        server.call("model/list", {})
    well(command(codex, gateway.home, "eject"))
    assert codex.config_file.read_bytes() == RICH
    assert not gateway.home.exists()
    starts(codex)


def test_codex_starts_after_eject_although_the_user_named_our_provider(
    codex: CodexHome, gateway: GatewayProcess
) -> None:
    codex.config_file.write_bytes(RICH)
    well(command(codex, gateway.home, "inject"))
    text = codex.config_file.read_text()
    codex.config_file.write_text(f'model_provider = "codex-nexus"\n{text}')
    starts(codex)
    well(command(codex, gateway.home, "eject"))
    starts(codex)


# --- at the start of the gateway


def test_a_gateway_that_starts_brings_codex_up_to_date_once(
    codex: CodexHome, gateway: GatewayProcess, upstream: Upstream
) -> None:
    gateway.stop()
    codex.config_file.write_bytes(RICH)
    upstream.script(say("fine"))
    said: list[str] = []
    for _ in range(2):
        log = codex.folder / "serve.log"
        with log.open("wb") as out:
            args = [sys.executable, "-m", "codex_nexus", "serve"]
            environ = codex._environment() | {"CODEX_NEXUS_HOME": str(gateway.home)}
            process = subprocess.Popen(args, env=environ, stdout=out, stderr=out, start_new_session=True)
        try:
            gateway._process = process
            gateway._wait_until_healthy()
            eventually(lambda log=log: "[web] Control panel" in log.read_text())  # it opens after Codex was told
            run = codex._run("-p", "nexus", "exec", "--skip-git-repo-check", "hello")
            ran_well(run)
        finally:
            gateway.stop()
        said.append(log.read_text())
    assert said[0].count("Codex's configuration") == 1, said
    assert "Codex's configuration" not in said[1], said
