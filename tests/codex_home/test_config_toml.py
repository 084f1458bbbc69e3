"""Our part in a `config.toml`, case by case; what holds for every text stands in test_properties.py."""

import json
import tomllib
from typing import Any

import msgspec
import pytest
import tomlkit

from codex_nexus.codex_home.config_toml import address_in, is_stranded, made_folder, plan, token_in, undo
from codex_nexus.codex_home.wish import Refused, Wish

WISH = Wish(address="http://127.0.0.1:5800", token="nexus-token", model="some-model")
SWITCH = msgspec.structs.replace(WISH, switch_default=True)
MOVED = msgspec.structs.replace(WISH, address="http://127.0.0.1:6000")


def data(text: str | None) -> dict[str, Any]:
    assert text is not None
    return tomllib.loads(text)


def planned(text: str | None, wish: Wish = WISH) -> str:
    return plan(text, wish).text


# --- what is written


def test_the_block_of_a_new_file() -> None:
    assert planned(None) == (
        "# codex-nexus: written by Codex Nexus; `codex-nexus eject` takes it away (new-file)\n"
        "[model_providers.codex-nexus]\n"
        'name = "Codex Nexus"\n'
        'base_url = "http://127.0.0.1:5800/v1"\n'
        'model_catalog_url = "http://127.0.0.1:5800/v1/models"\n'
        'experimental_bearer_token = "nexus-token"\n'
        'wire_api = "responses"\n'
        "request_max_retries = 1\n"
        "stream_max_retries = 5\n"
        "stream_idle_timeout_ms = 300000\n"
    )


def test_a_file_of_ours_vanishes_and_an_empty_one_stays() -> None:
    assert undo(planned(None)) is None
    assert undo(planned("")) == ""


def test_the_users_default_steps_aside_and_comes_back() -> None:
    text = '# mine\nmodel = "old" # good\n\n[tui]\n'
    after = planned(text, SWITCH)
    assert after.startswith(
        "# mine\n"
        '#codex-nexus was# model = "old" # good\n'
        'model = "some-model" # codex-nexus: eject takes this line away\n'
        'model_provider = "codex-nexus" # codex-nexus: eject takes this line away\n'
    )
    assert undo(after) == text


def test_without_a_model_codex_chooses() -> None:
    after = data(planned("", msgspec.structs.replace(SWITCH, model="")))
    assert "model" not in after
    assert after["model_provider"] == "codex-nexus"


def test_a_schema_line_stays_the_first() -> None:
    assert planned("#:schema x\n[a]\n", SWITCH).startswith("#:schema x\nmodel = ")


def test_line_ends_are_the_files_own() -> None:
    after = planned("a = 1\r\n", SWITCH)
    assert after.count("\n") == after.count("\r\n")


@pytest.mark.parametrize("name", ['ba"ck\\slash', "new\nline", "\x7f", "ключ 🦊"])
def test_odd_names_are_written_as_toml(name: str) -> None:
    assert data(planned("", msgspec.structs.replace(SWITCH, model=name)))["model"] == name


def test_the_diff_shows_lines_and_no_token() -> None:
    wish = msgspec.structs.replace(WISH, token="nexus-new")
    changed = plan(planned("a = 1\n"), wish)
    assert changed.changed
    assert "nexus-" not in changed.diff
    assert '-experimental_bearer_token = "***"' not in plan("a = 1\n", WISH).diff
    assert "+[model_providers.codex-nexus]" in plan("a = 1\n", WISH).diff


# --- our provider, written by hand


@pytest.mark.parametrize(
    "text",
    [
        "[model_providers.codex-nexus]\nname = 'mine'\n[model_providers.codex-nexus.http_headers]\nx = 'y'\n[z]\nk = 1\n",
        "[model_providers]\n\"codex-nexus\" = { name = 'mine' }\nother.name = 'o'\n",
        "model_providers.'codex-nexus'.name = 'mine'\nmodel_providers.other.name = 'o'\n",
        "model_providers = { other = { name = 'o' }, codex-nexus = { name = 'mine' } }\n",
        "model_providers = { codex-nexus = { name = 'mine' }, other = { name = 'o' } } # both\n",
        "model_providers = { codex-nexus.name = 'mine', codex-nexus.base_url = 'u' }\nk = 1\n",
        "model_providers={}",
        "[[model_providers.codex-nexus]]\nname = 'mine'\n",
    ],
)
def test_a_block_in_any_style_steps_aside(text: str) -> None:
    for wish in (WISH, SWITCH):
        after = planned(text, wish)
        assert data(after)["model_providers"]["codex-nexus"] == wish.fixed() | wish.tunable()
        assert data(after)["model_providers"].get("other") == data(text)["model_providers"].get("other")
        assert undo(after) == text


@pytest.mark.parametrize("text", ["model_providers = 3", "model_providers = [1]", "[[model_providers]]\nname = 'x'\n"])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="no table"):
        plan(text, WISH)


@pytest.mark.parametrize(
    ("text", "place"),
    [("a = \n", "line 1, column 5"), ("a = 1\nb = ?\n", "line 2, column 5"), ("[x]\n[x]\n", "line 2, column 3")],
)
def test_what_is_not_toml_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(Refused, match=place):
        plan(text, WISH)


def test_a_text_that_ends_too_early_is_refused_with_its_last_line() -> None:
    with pytest.raises(Refused, match="line 2"):
        plan("a = 1\nb = [1", WISH)


# --- what happens to our part afterwards


def test_what_the_user_tuned_stays_when_the_gateway_moves() -> None:
    text = planned("a = 1\n")
    text = text.replace("stream_max_retries = 5", "stream_max_retries = 9 # patient") + "supports_websockets = true\n"
    text += "[model_providers.codex-nexus.http_headers]\nx = 'y'\n"
    assert not plan(text, WISH).changed
    block = data(planned(text, MOVED))["model_providers"]["codex-nexus"]
    assert block == MOVED.fixed() | MOVED.tunable() | {
        "stream_max_retries": 9,
        "supports_websockets": True,
        "http_headers": {"x": "y"},
    }
    assert undo(planned(text, MOVED)) == "a = 1\n"


def test_the_model_that_was_picked_stays_when_the_gateway_moves() -> None:
    text = planned("", SWITCH).replace('"some-model"', '"picked"')
    assert not plan(text, SWITCH).changed
    after = planned(text, msgspec.structs.replace(MOVED, switch_default=True))
    assert data(after)["model"] == "picked"


@pytest.mark.parametrize("text", [None, "", 'model = "gpt-5.5" # mine\n', "[tui]\nnotifications = false\n"])
def test_another_default_model_takes_the_place_of_the_one_that_we_wrote(text: str | None) -> None:
    for name in ("odd, (name)", "a/b:c", "次の"):
        written = planned(planned(text, SWITCH), msgspec.structs.replace(SWITCH, model=name))
        assert data(written)["model"] == name
        again = plan(written, msgspec.structs.replace(SWITCH, model=name))
        assert not again.changed
        assert undo(written) == text


def test_a_default_without_a_model_takes_our_line_away_and_brings_it_back() -> None:
    none = msgspec.structs.replace(SWITCH, model="")
    without = planned(planned("", SWITCH), none)
    assert "model" not in data(without)
    assert not plan(without, none).changed
    assert data(planned(without, SWITCH))["model"] == "some-model"


def test_a_picked_model_survives_another_default() -> None:
    picked = planned("", SWITCH).replace('"some-model"', '"picked"')
    other = msgspec.structs.replace(SWITCH, model="another")
    assert data(planned(picked, other))["model"] == "picked"


def test_turning_the_default_off_brings_the_users_own_back() -> None:
    text = "model = 'old'\n"
    assert data(planned(planned(text, SWITCH), WISH))["model"] == "old"


def test_a_default_that_the_user_switched_back_stays() -> None:
    text = planned("model = 'old'\nk = 1\n", SWITCH).replace(
        'model_provider = "codex-nexus"', 'model_provider = "openai"', 1
    )
    assert not plan(text, SWITCH).changed
    after = undo(text)
    assert data(after) == {"model": "some-model", "model_provider": "openai", "k": 1}
    assert "codex-nexus" not in (after or "")
    insisting = planned(text, msgspec.structs.replace(SWITCH, insist=True))
    assert data(insisting)["model_provider"] == "codex-nexus"


def test_lines_of_ours_that_the_user_deleted_bring_the_hidden_ones_back() -> None:
    text = planned("model = 'old'\n", SWITCH)
    kept = "".join(line for line in text.splitlines(keepends=True) if "eject takes this line away" not in line)
    assert undo(kept) == "model = 'old'\n"


def test_a_hidden_model_gives_way_to_a_new_one() -> None:
    text = planned("model = 'old'\nk = 1\n", SWITCH)
    text = text.replace(" # codex-nexus: eject takes this line away\nmodel_provider", "\nmodel_provider", 1)
    assert data(undo(text)) == {"model": "some-model", "k": 1}


def test_providers_added_to_our_copy_of_an_inline_table_stay() -> None:
    text = planned("model_providers = { a = { name = 'A' } }\n")
    text = text.replace("codex-nexus = { name", "b = { name = 'B' }, codex-nexus = { name", 1)
    after = undo(text)
    assert data(after) == {"model_providers": {"a": {"name": "A"}, "b": {"name": "B"}}}
    assert "codex-nexus" not in (after or "")


def test_codex_turns_our_copy_of_an_inline_table_into_tables() -> None:
    # as Codex 0.169 does when it adds a provider; the remark behind the line is lost
    block = WISH.fixed() | WISH.tunable()
    entries = ", ".join(f"{key} = {json.dumps(value)}" for key, value in block.items())
    text = (
        f"[model_providers ]\na = {{ name = 'A' }}\ncodex-nexus = {{ {entries} }}\n\n[model_providers.x]\nname = 'X'\n"
    )
    assert data(undo(text)) == {"model_providers": {"a": {"name": "A"}, "x": {"name": "X"}}}
    assert data(undo(planned(text, MOVED))) == {"model_providers": {"a": {"name": "A"}, "x": {"name": "X"}}}


@pytest.mark.parametrize(
    "text",
    [
        "model_providers.codex-nexus.name = 'mine'\n\n# c\ntui = { theme = 'x' }\n",
        "[model_providers]\ncodex-nexus = { name = 'mine' }\nb = { name = 'b' }\n",
    ],
)
def test_no_comment_of_ours_comes_above_an_inline_table(text: str) -> None:
    with pytest.raises(Refused, match="spoil"):
        plan(text, WISH)


def test_comments_of_the_user_inside_our_table_stay() -> None:
    text = planned("").replace("wire_api", "# why?\nwire_api")
    assert undo(text) == "# why?\n"


def test_hidden_lines_that_somebody_changed_are_left_alone() -> None:
    text = planned("model = 'old'\n", SWITCH).replace("was# model = 'old'", "was# model = 'old")
    assert undo(text) == "#codex-nexus was# model = 'old\n"


def test_a_name_that_would_lead_nowhere_goes() -> None:
    text = 'model_provider = "codex-nexus"\n' + planned("")
    after = undo(text)
    assert data(after) == {}
    again = planned(text, MOVED)  # the gateway moves in between: the user's line is not forgotten
    assert data(again)["model_provider"] == "codex-nexus"
    assert data(undo(again)) == {}


def test_a_name_that_led_nowhere_before_stays() -> None:
    text = 'model_provider = "codex-nexus"\n'
    assert is_stranded(text)
    assert undo(planned(planned(text), MOVED)) == text


def test_a_text_without_our_marks_is_not_touched_even_when_it_is_broken() -> None:
    for text in ("[model_providers.codex-nexus]\nname = 'by hand'\n", "a = \n", ""):
        assert undo(text) == text


def test_a_broken_text_with_our_marks_is_refused() -> None:
    with pytest.raises(Refused, match="line 1"):
        undo("a = \n" + planned(""))


def test_our_marks_inside_a_string_mean_nothing() -> None:
    text = (
        'a = """\n# codex-nexus: written by Codex Nexus; `codex-nexus eject` takes it away\n#codex-nexus was# x\n"""\n'
    )
    assert undo(text) == text
    assert undo(planned(text, SWITCH)) == text


def test_what_is_remembered_in_the_text() -> None:
    text = plan(None, WISH, made_folder=True).text
    assert made_folder(text)
    assert made_folder(planned(text, MOVED))
    assert undo(planned(text, MOVED)) is None
    assert address_in(text) == "http://127.0.0.1:5800"
    assert token_in(text) == "nexus-token"
    assert (address_in("a = 1"), token_in("model_providers = 3")) == ("", "")


def test_a_file_that_lost_its_comments_is_known_again() -> None:
    text = tomlkit.dumps(data(planned("k = 1\nmodel = 'old'\n", SWITCH)))
    assert "#" not in text
    assert data(undo(text)) == {"k": 1}
    assert plan(text, SWITCH).changed
    assert data(undo(planned(text, SWITCH))) == {"k": 1}
    other = text.replace("nexus-token", "chosen-by-hand")
    assert undo(other) == text.replace("nexus-token", "chosen-by-hand")


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(Refused):
        plan("a = " + "[" * 100_000 + "]" * 100_000, WISH)
