"""The container's files: read for what they promise, and their steps done here, as another user, without an engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.gateway_process import _free_port_pair

ROOT = Path(__file__).parents[1]
PATIENCE = 300.0


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def compose() -> dict[str, Any]:
    """The services, as YAML says them."""
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def test_the_image_is_not_root_and_tells_its_health() -> None:
    told = dict(instructions())
    names = [name for name, _ in instructions()]
    assert names.index("USER") > names.index("RUN")
    assert int(told["USER"]) > 0, "a number: a cluster must see that it is not root"
    assert f"--uid {told['USER']} " in told["RUN"]
    assert told["VOLUME"] == "/data"
    assert "CODEX_NEXUS_HOME=/data" in told["ENV"]
    assert "/healthz" in told["HEALTHCHECK"]
    assert "curl" not in told["HEALTHCHECK"]
    assert '"--host", "0.0.0.0"' in told["CMD"]


def test_what_the_image_copies_is_let_through() -> None:
    allowed = (ROOT / ".dockerignore").read_text("utf-8").split()
    for name, rest in instructions():
        if name == "COPY":
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in allowed


def test_compose_starts_the_gateway_alone_and_opens_it_to_this_machine_only() -> None:
    services = compose()["services"]
    alone = [name for name, service in services.items() if "profiles" not in service]
    assert alone == ["gateway"]
    assert services["gateway"]["ports"] == ["${NEXUS_LISTEN:-127.0.0.1:5800}:5800"]
    assert services["gateway"]["stop_grace_period"] == "20s"
    assert services["database"]["profiles"] == ["postgres"]
    assert "ports" not in services["database"]
    volumes = {mount.partition(":")[0] for service in services.values() for mount in service["volumes"]}
    assert volumes == set(compose()["volumes"])


class Image:
    """What the Dockerfile makes, in a folder; its processes are another user's when we are root."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.app, self.data = folder, folder / "app", folder / "data"
        self.told = dict(instructions())
        self.port = _free_port_pair()
        self.user = int(self.told["USER"]) if os.geteuid() == 0 else os.geteuid()

    def build(self) -> None:
        """COPY, and of RUN the part that installs and the folder of the data."""
        self.app.mkdir()
        for name, rest in instructions():
            for source in rest.split()[:-1] if name == "COPY" else []:
                place = self.app / source
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / source, place)
        # root's own Python may lie where the other user cannot look
        python = "/usr/bin/python3" if os.geteuid() == 0 else sys.executable
        subprocess.run([python, "-m", "venv", "--without-pip", self.folder / "venv"], check=True)
        install = re.search(r"pip (install .*?) &&", self.told["RUN"])
        assert install is not None
        words = install[1].replace('"', "").split()
        pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(self.folder / "venv")]
        subprocess.run([*pip, *words, "--no-cache-dir"], cwd=self.app, check=True, timeout=PATIENCE)
        self.data.mkdir(mode=0o700)
        os.chown(self.data, self.user, -1)

    def command(self, written: str) -> list[str]:
        """A JSON list of words, on a port that is free here."""
        return [word.replace("5800", str(self.port)) for word in json.loads(written)]

    @property
    def environ(self) -> dict[str, str]:
        """What a process of the image sees."""
        home = {"HOME": str(self.folder), "CODEX_NEXUS_HOME": str(self.data)}
        return {"PATH": f"{self.folder / 'venv' / 'bin'}:/usr/bin:/bin", "PYTHONUNBUFFERED": "1", **home}

    def start(self) -> subprocess.Popen[bytes]:
        """CMD."""
        words = self.command(self.told["CMD"])
        return subprocess.Popen(
            words, cwd=self.folder, env=self.environ, user=self.user, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def well(self) -> bool:
        """HEALTHCHECK."""
        words = self.command(self.told["HEALTHCHECK"].partition("CMD ")[2])
        return subprocess.run(words, env=self.environ, user=self.user, check=False, capture_output=True).returncode == 0


@pytest.fixture
def image() -> Iterator[Image]:
    """The image, built."""
    if os.geteuid() == 0 and not Path("/usr/bin/python3").exists():
        pytest.skip("no Python here that another user may run")
    with tempfile.TemporaryDirectory(prefix="codex-nexus-image-") as folder:
        Path(folder).chmod(0o755)
        made = Image(Path(folder))
        made.build()
        yield made


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="the image is Linux's")
def test_the_steps_of_the_image_make_a_gateway_that_is_well(image: Image) -> None:
    assert not image.well()
    with image.start() as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not image.well():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            assert process.stdout is not None
            said = process.stdout.read().decode()
            assert process.wait(20) == 0, said
        finally:
            process.kill()
    config = image.data / "config.json"
    token = json.loads(config.read_text())["access_token"]
    assert f"callers need access_token in {config}" in said
    assert token not in said
    assert {path.stat().st_uid for path in image.data.iterdir()} == {image.user}
