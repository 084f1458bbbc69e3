"""`codex-nexus run` with a program that only looks like Codex."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with a first line for POSIX")

STAND_IN = """#!{python}
import json, os, signal, sys, time, urllib.request
flags = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
url = flags["model_providers.codex-nexus.base_url"]
with urllib.request.urlopen(url + "/models") as reply:
    models = json.load(reply)["models"]
told = {{"args": sys.argv[1:], "token": os.environ["CODEX_NEXUS_TOKEN"], "proxy": os.environ["NO_PROXY"],
        "models": [model["slug"] for model in models], "file": json.load(open(flags["model_catalog_json"]))}}
print(json.dumps(told), flush=True)
if "wait" in sys.argv:
    def caught(*_):
        print("interrupted", flush=True)
        sys.exit(7)
    signal.signal(signal.SIGINT, caught)
    signal.signal(signal.SIGTERM, caught)
    print("waiting", flush=True)
    time.sleep(600)
if "die" in sys.argv:
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(sys.argv[-1]) if sys.argv[-1].isdigit() else 0)
"""


class Stage:
    """A home, and a program named codex on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "nexus"
        self.home.mkdir()
        routes = {"routed": {"provider": "custom", "model": "x"}}
        config = {"provider": "custom", "custom_upstream": "http://127.0.0.1:9/v1", "port": 0, "model_routes": routes}
        (self.home / "config.json").write_text(json.dumps(config))
        program = folder / "bin" / "codex"
        program.parent.mkdir()
        program.write_text(STAND_IN.format(python=sys.executable))
        program.chmod(0o755)
        path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        self.environ = dict(os.environ) | {
            "CODEX_NEXUS_HOME": str(self.home),
            "CODEX_HOME": str(folder / "codex"),
            "PATH": path,
        }
        self.environ |= {"NO_PROXY": "example.invalid"}

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "codex_nexus", "run", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.environ, stdout=pipe, stderr=pipe, text=True, start_new_session=True)

    def run(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_it_is_given_everything_and_the_terminal_is_its_own(stage: Stage) -> None:
    code, out, err = stage.run("--", "codex", "exec", "hi")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["args"][-2:] == ["exec", "hi"]
    assert told["models"][0] == "routed"
    assert "model=routed" in told["args"]
    assert told["file"]["models"][0]["slug"] == "routed"
    assert told["token"] == json.loads((stage.home / "config.json").read_text())["access_token"]
    assert told["proxy"] == "example.invalid,127.0.0.1,localhost"
    assert "running" in (stage.home / "run.log").read_text()
    assert not list(stage.home.glob("run-*.json"))
    assert not Path(stage.environ["CODEX_HOME"]).exists()


def test_without_a_command_it_runs_codex(stage: Stage) -> None:
    code, out, _ = stage.run()
    assert code == 0
    assert json.loads(out)["token"]


@pytest.mark.parametrize(("word", "code"), [("3", 3), ("die", 137)])
def test_the_exit_code_is_passed_on(stage: Stage, word: str, code: int) -> None:
    assert stage.run("codex", word)[0] == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_for_codex(stage: Stage, number: signal.Signals) -> None:
    process = stage.start("codex", "wait")
    assert process.stdout is not None
    while process.stdout.readline() != "waiting\n":
        assert process.poll() is None
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (7, "interrupted\n", "")


def test_what_cannot_be_run_is_said(stage: Stage) -> None:
    code, _, err = stage.run("--", "vim")
    assert (code, err.count("\n")) == (1, 1)
    assert "no codex" in err
    stage.environ["PATH"] = "/nowhere"
    code, _, err = stage.run("--", "codex")
    assert code == 1
    assert "no program 'codex'" in err


def test_a_broken_configuration_is_said(stage: Stage) -> None:
    (stage.home / "config.json").write_text('{"port": "x"}')
    code, _, err = stage.run("codex")
    assert code == 2
    assert "port" in err


def test_what_a_killed_run_has_left_is_taken_away(stage: Stage) -> None:
    for name, days in (("run-1.json", 8), ("run-2.json", 1)):
        (stage.home / name).write_text("{}")
        os.utime(stage.home / name, (time.time() - days * 86_400,) * 2)
    assert stage.run("--", "codex")[0] == 0
    assert [path.name for path in stage.home.glob("run-*")] == ["run-2.json"]
