"""The command line of `codex-nexus run`."""

import pytest

from codex_nexus.codex_home.overrides import command_with
from codex_nexus.codex_home.wish import Wish
from codex_nexus.errors import InvalidRequest

WISH = Wish(address="http://127.0.0.1:5800", token="nexus-secret", model="some-model")


def given(command: list[str], wish: Wish = WISH, catalogue: str = "/home/me/models.json") -> dict[str, str]:
    words = command_with(command, wish, catalogue)
    return dict(words[n + 1].split("=", 1) for n, word in enumerate(words) if word == "-c" and "=" in words[n + 1])


def test_the_overrides_stand_behind_the_program_and_before_its_verb() -> None:
    words = command_with(["codex", "exec", "--json", "hi"], WISH, "")
    assert words[0] == "codex"
    assert set(words[1:-3:2]) == {"-c"}
    assert words[-3:] == ["exec", "--json", "hi"]


def test_what_is_overridden() -> None:
    assert given(["codex"]) == {
        "model_provider": "codex-nexus",
        "model_providers.codex-nexus.name": "Codex Nexus",
        "model_providers.codex-nexus.base_url": "http://127.0.0.1:5800/v1",
        "model_providers.codex-nexus.model_catalog_url": "http://127.0.0.1:5800/v1/models",
        "model_providers.codex-nexus.wire_api": "responses",
        "model_providers.codex-nexus.request_max_retries": "1",
        "model_providers.codex-nexus.stream_max_retries": "5",
        "model_providers.codex-nexus.stream_idle_timeout_ms": "300000",
        "model_providers.codex-nexus.env_key": "CODEX_NEXUS_TOKEN",
        "model_catalog_json": "/home/me/models.json",
        "model": "some-model",
    }


def test_the_token_is_not_on_the_command_line() -> None:
    assert "nexus-secret" not in " ".join(command_with(["codex"], WISH, ""))


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "x"],
        ["-mx"],
        ["--model", "x"],
        ["--model=x"],
        ["exec", "-c", "model=x"],
        ["-c", 'model = "x"'],
        ["--config=model=x"],
        ["-cmodel=x"],
    ],
)
def test_a_model_of_the_user_wins(words: list[str]) -> None:
    assert '"some-model"' not in command_with(["codex", *words], WISH, "")
    assert "model=some-model" not in command_with(["codex", *words], WISH, "")


@pytest.mark.parametrize(
    "words",
    [["-c", "model_provider=x"], ["exec", "tell", "--", "-m", "x"], ["-c", "model_reasoning_effort=high"], ["model=x"]],
)
def test_other_words_name_no_model(words: list[str]) -> None:
    assert "model=some-model" in command_with(["codex", *words], WISH, "")


@pytest.mark.parametrize("name", ["true", "5", "1979-05-27", '"x"'])
def test_a_name_that_looks_like_another_type_is_quoted(name: str) -> None:
    value = given(["codex"], Wish(address="a", token="t", model=name))["model"]
    assert value.startswith('"')


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (["/usr/local/bin/codex", "x"], 1),
        ([r"C:\Users\me\AppData\npm\codex.cmd", "x"], 1),
        (["npx", "-y", "@openai/codex@0.169.0", "x"], 3),
        (["node", "/lib/codex.js", "x"], 2),
        (["codex-x86_64-unknown-linux-musl", "x"], 1),
    ],
)
def test_where_the_program_is(command: list[str], place: int) -> None:
    words = command_with(command, WISH, r"C:\Users\me\models.json")
    assert words[:place] == command[:place]
    assert words[place] == "-c"
    assert r"model_catalog_json=C:\Users\me\models.json" in words


@pytest.mark.parametrize("command", [[], ["vim"], ["codex-nexus", "serve"]])
def test_a_command_without_codex_is_refused(command: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="no codex"):
        command_with(command, WISH, "")
