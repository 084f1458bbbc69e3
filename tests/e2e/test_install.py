"""The package as a stranger gets it: built, looked into, installed into an empty environment, run there, taken away."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from codex_nexus import __version__
from tests.e2e.codex import ROOT, CodexHome
from tests.e2e.gateway_process import MODEL, TOKEN, UPSTREAM_MODEL, _free_port_pair
from tests.e2e.test_codex_exec import say
from tests.e2e.test_codex_home import RICH
from tests.upstream import Upstream

pytestmark = pytest.mark.e2e

PATIENCE = 180.0
GENEROUS_S = 3.0  # the goal is one second; a busy machine must not fail the test
SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"


def done(command: list[str], cwd: Path, environ: dict[str, str] | None = None) -> str:
    """A command that must succeed; what it said."""
    run = subprocess.run(command, check=False, cwd=cwd, env=environ, capture_output=True, timeout=PATIENCE)
    said = (run.stdout + run.stderr).decode("utf-8", "replace")
    assert run.returncode == 0, (command, said)
    return said


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    done([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], ROOT)
    return folder


@pytest.fixture(scope="session")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts' folder of an environment that holds the wheel and what it needs, nothing else."""
    venv = tmp_path_factory.mktemp("venv")
    done([sys.executable, "-m", "venv", str(venv)], ROOT)
    wheel = str(next(built.glob("*.whl")))
    pip = [str(venv / SCRIPTS / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done([*pip, "--constraint", str(ROOT / "constraints.txt"), wheel], built)
    return venv / SCRIPTS


def lonely(home: Path, path: str = "") -> dict[str, str]:
    """The variables of a user who has nothing yet."""
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    return kept | {"HOME": str(home), "USERPROFILE": str(home), "PATH": path or "/usr/bin:/bin"}


# --- what is in it

NEEDED = (
    "py.typed",
    "providers/providers.json",
    "codex_home/prompt.md",
    "control/static/index.html",
    "control/static/main.js",
    "control/static/panel.css",
    "control/static/words-zh.js",
)


def test_the_wheel_is_complete(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        metadata = next(name for name in names if name.endswith("/METADATA"))
        told = wheel.read(metadata).decode()
    package = ROOT / "src" / "codex_nexus"
    ours = {f"codex_nexus/{path.relative_to(package).as_posix()}" for path in package.rglob("*") if path.is_file()}
    assert {name for name in ours if "__pycache__" not in name} <= names
    assert {f"codex_nexus/{name}" for name in NEEDED} <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert f"Version: {__version__}" in told
    assert not [name for name in names if name.startswith("tests")]


def test_the_sdist_is_complete_and_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        sdist.extractall(tmp_path, filter="data")
    folder = next(tmp_path.iterdir())
    for name in ("LICENSE", "README.md", "README.zh.md", "Makefile", "constraints.txt", "tests", "docs", "start.cmd"):
        assert (folder / name).exists(), name
    done([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "again")], folder)
    first, second = (zipfile.ZipFile(next(place.glob("*.whl"))) for place in (built, tmp_path / "again"))
    with first, second:
        assert sorted(first.namelist()) == sorted(second.namelist())


# --- the first minutes


def test_a_stranger_can_run_it(installed: Path, tmp_path: Path) -> None:
    nexus, environ = str(installed / "codex-nexus"), lonely(tmp_path)
    assert done([nexus, "version"], tmp_path, environ).strip() == f"codex-nexus {__version__}"
    assert "good" in done([nexus, "check"], tmp_path, environ)
    assert not list(tmp_path.iterdir()), "looking must not write"
    told = done([nexus, "demo", "--no-codex"], tmp_path, environ)
    assert "The demo is complete" in told
    assert "get_weather" in told
    assert not list(tmp_path.iterdir()), "the tour must leave nothing"


def test_the_demo_drives_the_real_codex(installed: Path, binary: Path, codex: CodexHome) -> None:
    environ = lonely(codex.folder, os.environ["PATH"]) | {"CODEX_BIN": str(binary), "NO_PROXY": "127.0.0.1,localhost"}
    told = done([str(installed / "codex-nexus"), "demo"], codex.folder, environ)
    assert "The command ran" in told
    assert "The demo is complete" in told


def test_it_runs_within_a_second(installed: Path, tmp_path: Path) -> None:
    best = min(_seconds_to_running(installed, tmp_path) for _ in range(4))
    print(f"start to 'running': {best:.2f} s")
    assert best < GENEROUS_S


def _seconds_to_running(installed: Path, home: Path) -> float:
    began = time.monotonic()
    command = [str(installed / "codex-nexus"), "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=lonely(home)) as process:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        seconds = time.monotonic() - began
        process.terminate()
        process.stdout.read()
    assert "running" in line
    return seconds


# --- the commands of the READMEs


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_the_readme_names_commands_that_exist(readme: str, installed: Path, tmp_path: Path) -> None:
    text = (ROOT / readme).read_text("utf-8")
    prose = r"(?s)```json.*?```|^Next: [^\n]*"  # the last line of the demo's transcript is a sentence
    verbs = set(re.findall(r"codex-nexus (\w+)", re.sub(prose, "", text, flags=re.MULTILINE)))
    helped = done([str(installed / "codex-nexus"), "--help"], tmp_path, lonely(tmp_path))
    known = set(re.findall(r"^ {4}(\w+)  ", helped, re.MULTILINE))
    assert {"run", "inject", "eject", "doctor", "demo", "service"} <= verbs <= known
    for block in re.findall(r"(?s)```sh\n(.*?)```", text):
        for verb in re.findall(r"^make (\w+)", block, re.MULTILINE):
            assert re.search(rf"^{verb}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_the_readmes_configurations_are_good(readme: str, installed: Path, tmp_path: Path) -> None:
    home = tmp_path / ".codex-nexus"
    home.mkdir()
    blocks = re.findall(r"(?s)```json\n(.*?)```", (ROOT / readme).read_text("utf-8"))
    assert blocks
    for block in blocks:
        (home / "config.json").write_text(block)
        assert "good" in done([str(installed / "codex-nexus"), "check"], tmp_path, lonely(tmp_path))


# --- the end


@pytest.fixture
def leaving(installed: Path, tmp_path: Path) -> Path:
    """An installation of its own that may be taken away: what it needs is lent."""
    venv = tmp_path / "venv"
    shutil.copytree(installed.parent, venv, symlinks=True)
    return venv / SCRIPTS


def tree(folder: Path) -> dict[str, str]:
    """Every file below, with what is in it and its mode."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        held = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        found[name] = f"{path.lstat().st_mode:o} {held}"
    return found


def test_nothing_is_left_behind(leaving: Path, codex: CodexHome, upstream: Upstream) -> None:
    upstream.script(say("one turn"))
    home, port = codex.folder / "user", _free_port_pair()
    (home / ".codex").mkdir(parents=True)
    (home / ".codex" / "config.toml").write_bytes(RICH)
    (home / ".codex" / "config.toml").chmod(0o640)
    (home / ".codex" / "auth.json").write_text('{"OPENAI_API_KEY": "sk-mine-and-nobody-elses"}')
    (home / "notes.txt").write_text("mine")
    environ = codex._environment() | {"HOME": str(home)}
    del environ["CODEX_HOME"]
    before = tree(home)
    untouched = [home / ".codex" / "auth.json", home / "notes.txt"]
    times = [path.stat().st_mtime_ns for path in untouched]

    (home / ".codex-nexus").mkdir()
    routes = {MODEL: {"provider": "custom", "model": UPSTREAM_MODEL}}
    config = {"provider": "custom", "custom_upstream": upstream.base_url, "port": port, "access_token": TOKEN}
    (home / ".codex-nexus" / "config.json").write_text(json.dumps(config | {"model_routes": routes}))
    python = [str(leaving / "python"), "-m"]
    with subprocess.Popen([*python, "codex_nexus", "serve"], stdout=subprocess.PIPE, env=environ) as gateway:
        assert gateway.stdout is not None
        while b"brought up to date" not in (line := gateway.stdout.readline()):
            assert line, "the gateway has ended"
        done([*python, "codex_nexus", "inject", "--switch-default"], home, environ)
        done([str(codex.binary), "exec", "--skip-git-repo-check", "-p", "nexus", "hello"], codex.repo, environ)
        assert upstream.requests
        gateway.terminate()
    assert tree(home)[".codex/config.toml"] != before[".codex/config.toml"]
    done([*python, "codex_nexus", "eject"], home, environ)
    done([*python, "pip", "uninstall", "--yes", "--quiet", "codex-nexus"], home, environ)
    assert not list(leaving.glob("codex-nexus*"))
    shutil.rmtree(home / ".codex-nexus")

    after = tree(home)
    assert {name: after.get(name) for name in before} == before
    assert [path.stat().st_mtime_ns for path in untouched] == times
    new = set(after) - set(before)
    print("what Codex itself wrote:", sorted(new))
    its_own = (".codex/", ".cache", ".rustup")  # Codex looks at the shell, and at the compilers on the PATH
    assert all(name.startswith(its_own) for name in new), sorted(new)
    assert "nexus" not in " ".join(new)
