"""What the end-to-end tests share: the Codex program, llama.cpp's server, and a gateway with a Codex for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.codex import CodexHome, codex_binary
from tests.e2e.gateway_process import MODEL, TOKEN, GatewayProcess
from tests.e2e.llama_model import write_model
from tests.e2e.llama_server import LlamaServer
from tests.e2e.panel import ROUTES, Complaints, PanelProcess, browser, chromium, missing
from tests.upstream import Upstream, running_upstream
from tests.waiting import PATIENCE

_absent: list[str] = []  # why there is no Codex, once somebody has looked


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A skipped Codex must not go unseen."""
    for reason in _absent:
        terminalreporter.section("the tests with the real Codex did NOT run", red=True)
        terminalreporter.line(reason)


@pytest.fixture(scope="session")
def binary() -> Path:
    """The Codex program."""
    found, reason = codex_binary()
    if found is None:
        _absent[:] = [reason]
        pytest.skip(reason)
    return found


@pytest.fixture
def codex(binary: Path) -> Iterator[CodexHome]:
    """A Codex with a home and a repository of its own; nothing is configured yet."""
    with CodexHome(binary) as home:
        yield home


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """The scripted provider."""
    with running_upstream() as running:
        yield running


@pytest.fixture
def gateway(upstream: Upstream, tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway before the scripted provider."""
    with GatewayProcess(tmp_path, upstream.base_url) as running:
        yield running
        print(running.log)  # pytest shows it when the test fails


@pytest.fixture
def nexus(codex: CodexHome, gateway: GatewayProcess) -> CodexHome:
    """A Codex that speaks, through the gateway, to the scripted provider, and gives up early."""
    codex.write_config(gateway.base_url, MODEL, TOKEN, stream_max_retries=1)
    return codex


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """llama.cpp's server with the reciting model."""
    model = tmp_path_factory.mktemp("llama") / "reciter.gguf"
    write_model(model)
    with LlamaServer(model) as server:
        yield server


@pytest.fixture(scope="session")
def llama_gateway(llama: LlamaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway before llama.cpp."""
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), llama.base_url) as gateway:
        yield gateway


@pytest.fixture
def nexus_on_llama(llama_gateway: GatewayProcess, codex: CodexHome) -> Iterator[CodexHome]:
    """A Codex that speaks, through a gateway, to llama.cpp."""
    codex.write_config(llama_gateway.base_url, MODEL, TOKEN, stream_max_retries=1)
    yield codex
    print(llama_gateway.log[-8000:])


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """The browser; without one the tests are skipped, but never where they are the gate."""
    if chromium() is None:
        missing("there is no chromium on this machine: apt-get install chromium")
    with browser() as running:
        yield running


@pytest.fixture
def panel(upstream: Upstream, tmp_path: Path) -> Iterator[PanelProcess]:
    """A gateway before the scripted provider, with two routes."""
    upstream.models = ["scripted", "other", "vision-large"]
    with PanelProcess(tmp_path, upstream.base_url, {"model_routes": ROUTES}) as running:
        yield running
        print(running.log)


@pytest.fixture
def fresh_panel(upstream: Upstream, tmp_path: Path) -> Iterator[PanelProcess]:
    """A gateway with an empty home."""
    with PanelProcess(tmp_path, upstream.base_url) as running:
        yield running
        print(running.log)


@pytest.fixture
def page(chrome: Browser) -> Iterator[Page]:
    """A page that must complain of nothing."""
    context = chrome.new_context(viewport={"width": 1280, "height": 860}, locale="en-GB")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened = context.new_page()
    opened.set_default_timeout(1000 * PATIENCE)
    complaints = Complaints(opened, expected=("Failed to load resource",))
    yield opened
    assert not complaints.seen
    context.close()
