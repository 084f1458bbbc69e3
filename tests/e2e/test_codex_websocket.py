"""The real Codex over the WebSocket (`supports_websockets = true`): tools, a thread taken up again, a cut in mid-turn."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.e2e.codex import CodexHome
from tests.e2e.gateway_process import MODEL, TOKEN, GatewayProcess
from tests.e2e.test_codex_exec import ran_well, run_commands, say
from tests.upstream import Answer, Recorded, Upstream, stall, text
from tests.waiting import eventually

pytestmark = pytest.mark.e2e


class Relay:
    """A TCP relay that can cut every connection; it counts upgrades and POSTs that it has seen."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self._all: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port = self._server.getsockname()[1]
        self.upgrades = 0
        self.posts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._server.accept()
                there = socket.create_connection(("127.0.0.1", self._target))
                self._all += [here, there]
                for source, sink in ((here, there), (there, here)):
                    thread = threading.Thread(target=self._copy, args=(source, sink, source is here), daemon=True)
                    thread.start()
                    self._threads.append(thread)

    def _copy(self, source: socket.socket, sink: socket.socket, asks: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if asks:
                    self.upgrades += b"upgrade: websocket" in data.lower()
                    self.posts += data.startswith(b"POST ") and b"/responses" in data[:100]
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Cuts all connections that are open now."""
        for end in list(self._all):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """The end."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)
        for end in self._all:
            end.close()


@pytest.fixture
def relay(gateway: GatewayProcess) -> Iterator[Relay]:
    """Between Codex and the gateway."""
    running = Relay(gateway.port)
    yield running
    running.close()


@pytest.fixture
def nexus(codex: CodexHome, relay: Relay) -> CodexHome:
    """A Codex that speaks over the WebSocket."""
    codex.write_config(f"http://127.0.0.1:{relay.port}/v1", MODEL, TOKEN, stream_max_retries=3)
    file = codex.config_file
    file.write_text(
        file.read_text().replace('wire_api = "responses"\n', 'wire_api = "responses"\nsupports_websockets = true\n')
    )
    return codex


def roles(request: Recorded) -> list[str]:
    """Who speaks in a request, without the instructions."""
    return [message["role"] for message in request.json["messages"] if message["role"] != "system"]


def test_tools_run_in_a_loop(nexus: CodexHome, relay: Relay, upstream: Upstream) -> None:
    upstream.script(
        run_commands("echo one > one.txt", "echo two > two.txt"), run_commands("cat one.txt two.txt"), say("Done.")
    )
    run = nexus.exec("do it")
    ran_well(run)
    assert "Done." in run.stdout
    assert (nexus.repo / "one.txt").read_text() == "one\n"
    assert relay.upgrades == 1
    assert relay.posts == 0
    last = upstream.requests[-1]
    assert roles(last)[-1] == "tool"
    assert "one\ntwo" in str(last.json["messages"][-1]["content"]).replace("\\n", "\n")


def test_a_thread_is_taken_up_again(nexus: CodexHome, relay: Relay, upstream: Upstream) -> None:
    upstream.script(say("The word is fox."), say("It was fox."))
    ran_well(nexus.exec("choose a word"))
    run = nexus.resume("which word?")
    ran_well(run)
    assert "It was fox." in run.stdout
    said = str(upstream.requests[-1].json["messages"])
    assert "The word is fox." in said
    assert "choose a word" in said
    assert relay.upgrades == 2
    assert relay.posts == 0


def test_a_cut_in_the_middle_of_an_answer(nexus: CodexHome, relay: Relay, upstream: Upstream) -> None:
    def cut(_: Recorded) -> Answer:
        threading.Timer(0.5, relay.cut).start()
        return stall([text("half of it")], before_headers=False)

    upstream.script(run_commands("echo one > one.txt"), cut, say("Whole."))
    run = nexus.exec("do it")
    ran_well(run)
    assert "Whole." in run.stdout
    assert len(upstream.requests) == 3
    assert roles(upstream.requests[1]) == roles(upstream.requests[2])
    eventually(lambda: upstream.requests[1].aborted)


def test_a_cut_between_two_turns_of_a_tool_loop(nexus: CodexHome, relay: Relay, upstream: Upstream) -> None:
    def cut_while_it_runs() -> None:
        eventually((nexus.repo / "begun").exists)
        relay.cut()
        (nexus.repo / "go").touch()

    upstream.script(
        run_commands("touch begun; while [ ! -e go ]; do sleep 0.05; done; echo slept > slept.txt"), say("Rested.")
    )
    threading.Thread(target=cut_while_it_runs, daemon=True).start()
    run = nexus.exec("sleep")
    ran_well(run)
    assert "Rested." in run.stdout
    assert (nexus.repo / "slept.txt").exists()
    assert "tool" in roles(upstream.requests[-1])
