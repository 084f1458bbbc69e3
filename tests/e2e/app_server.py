"""A client of `codex app-server`, the JSON-RPC over standard input and output that the IDE extension and the App speak.

with AppServer([str(codex.binary), "app-server"], codex) as server:
    server.replies["item/fileChange/requestApproval"] = {"decision": "accept"}
    thread = server.call("thread/start", {"cwd": str(codex.repo)})["thread"]["id"]
    turn = server.begin(thread, "do it")
    assert server.ended(turn)["status"] == "completed"
    print(server.told("item/agentMessage/delta"))
"""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from tests.e2e.codex import PATIENCE, CodexHome

Message = dict[str, Any]


class AppServer:
    """The server and all that it has said."""

    def __init__(self, args: list[str], codex: CodexHome, **environ: str) -> None:
        self.replies: dict[str, Message] = {}  # method of a request of the server's -> what it is answered
        self.asked: list[Message] = []  # those requests
        self._said: list[Message] = []
        self._news = threading.Condition()
        self._number = 0
        self._process = subprocess.Popen(
            args,
            cwd=codex.repo,
            env=codex._environment() | environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, name="app-server", daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        about = {"name": "tests", "title": "Tests", "version": "0"}
        self.call("initialize", {"clientInfo": about, "capabilities": {"experimentalApi": True}})
        self._send({"method": "initialized"})
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(20)
        self._listener.join(20)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def call(self, method: str, params: Message) -> Message:
        """Ask, and wait for the result."""
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": params})
        reply = self.heard(lambda said: said.get("id") == number and "method" not in said, method)
        assert "result" in reply, reply
        return reply["result"]

    def begin(self, thread: str, text: str, **more: Any) -> str:
        """Start a turn, without words if there is no text; its id."""
        words = [{"type": "text", "text": text, "text_elements": []}] if text else []
        return self.call("turn/start", {"threadId": thread, "input": words, **more})["turn"]["id"]

    def ended(self, turn: str) -> Message:
        """The turn, when it is over."""

        def is_end(said: Message) -> bool:
            return said.get("method") == "turn/completed" and said["params"]["turn"]["id"] == turn

        return self.heard(is_end, "the end of the turn")["params"]["turn"]

    def told(self, method: str) -> list[Message]:
        """The parameters of all notifications of this name so far."""
        with self._news:
            return [said["params"] for said in self._said if said.get("method") == method and "id" not in said]

    def heard(self, wanted: Callable[[Message], bool], what: str) -> Message:
        """The first message of this kind; waits for it."""
        deadline = time.monotonic() + PATIENCE
        with self._news:
            while True:
                for said in self._said:
                    if wanted(said):
                        return said
                left = deadline - time.monotonic()
                assert left > 0, f"no news of {what}; said last: {self._said[-5:]}"
                assert self._process.poll() is None, f"the app-server ended during {what}"
                self._news.wait(min(left, 1.0))

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "method" in said and "id" in said:
                self.asked.append(said)
                self._send({"id": said["id"], "result": self.replies.get(said["method"], {})})
            with self._news:
                self._said.append(said)
                self._news.notify_all()

    def _send(self, message: Message) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
