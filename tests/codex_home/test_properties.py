"""What must hold for every `config.toml`: our part goes in and comes out, and nothing else ever changes."""

import tomllib
from typing import Any

import msgspec
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption

from codex_nexus.codex_home import config_toml
from codex_nexus.codex_home.config_toml import Plan, undo
from codex_nexus.codex_home.toml_marks import original_of
from codex_nexus.codex_home.toml_scan import scan
from codex_nexus.codex_home.wish import Refused, Wish
from tests.codex_home.documents import BOM, documents, is_valid

WISH = Wish(address="http://127.0.0.1:5800", token="nexus-token", model="some-model")
SWITCH = msgspec.structs.replace(WISH, switch_default=True)
MOVED = msgspec.structs.replace(WISH, address="http://127.0.0.1:6000", token="nexus-other")
WISHES = st.sampled_from([WISH, SWITCH, MOVED, msgspec.structs.replace(SWITCH, model="")])
TEXTS = documents().filter(is_valid) | st.sampled_from(["", "\n", BOM, BOM + "\r\n", " ", "# c", "a=1"])

many = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def plan(text: str | None, wish: Wish) -> Plan:
    """The plan of all texts but those rare ones that are refused, and for no reason but this one."""
    try:
        return config_toml.plan(text, wish)
    except Refused as error:
        if "spoil" not in error.message:
            raise
        event("refused")
        raise UnsatisfiedAssumption from None


def parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text.removeprefix(BOM), parse_float=str)


def foreign(text: str) -> dict[str, Any]:
    """What is not ours and nobody asked us to change."""
    data = parsed(text)
    for key in ("model", "model_provider"):
        data.pop(key, None)
    data.get("model_providers", {}).pop("codex-nexus", None)
    if not data.get("model_providers"):
        data.pop("model_providers", None)
    return data


@many
@given(TEXTS | st.none(), WISHES)
def test_undoing_gives_every_byte_back(text: str | None, wish: Wish) -> None:
    event("a file" if text else "nothing")
    assert undo(plan(text, wish).text) == text


@many
@given(TEXTS, WISHES)
def test_nothing_else_changes_and_our_part_is_there(text: str, wish: Wish) -> None:
    after = plan(text, wish).text
    assert foreign(after) == foreign(text)
    block = parsed(after)["model_providers"]["codex-nexus"]
    assert block == wish.fixed() | wish.tunable()
    if wish.switch_default:
        assert parsed(after)["model_provider"] == "codex-nexus"
    else:
        assert parsed(after).get("model_provider") == parsed(text).get("model_provider")
        assert parsed(after).get("model") == parsed(text).get("model")
    assert after.startswith(BOM) == text.startswith(BOM)


@many
@given(TEXTS, WISHES)
def test_every_line_of_the_user_stays_in_its_order(text: str, wish: Wish) -> None:
    after = plan(text, wish).text.removeprefix(BOM)
    shown = "".join(original_of(piece) or piece.text for piece in scan(after))
    lines = iter(line.removeprefix("#codex-nexus was# ").rstrip("\r") for line in shown.split("\n"))
    for line in text.removeprefix(BOM).split("\n"):
        assert line.rstrip("\r") in lines, line


@many
@given(TEXTS, WISHES)
def test_no_comment_of_ours_stands_above_an_inline_table(text: str, wish: Wish) -> None:
    after = plan(text, wish).text.removeprefix(BOM)
    above = ""
    for piece in scan(after):
        if piece.kind == "pair" and piece.text[piece.value[0]] == "{":
            assert "codex-nexus was#" not in above
            assert "# codex-nexus:" not in above
        above = above + piece.text if piece.kind in ("comment", "blank") else ""


@many
@given(TEXTS, WISHES)
def test_planning_twice_changes_nothing(text: str, wish: Wish) -> None:
    once = plan(text, wish)
    twice = plan(once.text, wish)
    assert not twice.changed
    assert twice.text == once.text
    assert twice.diff == ""


@many
@given(TEXTS | st.none(), st.lists(WISHES, min_size=2, max_size=4))
def test_undoing_gives_every_byte_back_after_any_number_of_changes(text: str | None, wishes: list[Wish]) -> None:
    after = text
    for wish in wishes:
        after = plan(after, wish).text
    assert after is not None
    assert undo(after) == text


@many
@given(TEXTS, WISHES, st.booleans())
def test_what_codex_appends_later_stays(text: str, wish: Wish, replanned: bool) -> None:
    assume("projects" not in text)
    newline = "\r\n" if "\r\n" in text else "\n"
    added = f'[projects."/x"]{newline}trust_level = "trusted"{newline}'
    after = plan(text, wish).text
    assume(after.endswith("\n"))  # our part need not be the last: inside `model_providers = {}` it is not
    after += added
    if replanned:
        after = plan(plan(after, SWITCH).text, MOVED).text
    back = undo(after)
    assert back is not None
    assert foreign(back) == foreign(after)
    ended = text if not text.removeprefix(BOM) or text.endswith("\n") else text + newline
    assert back == ended + added


@many
@given(TEXTS)
def test_the_pieces_are_the_text_and_know_what_they_hold(text: str) -> None:
    body = text.removeprefix(BOM)
    pieces = scan(body)
    assert "".join(piece.text for piece in pieces) == body
    arrays = {piece.path for piece in pieces if piece.kind == "array"}
    for piece in pieces:
        if piece.kind == "pair" and piece.table not in arrays:
            found: Any = parsed(text)
            for key in piece.path:
                found = found[key]
            assert parsed(f"value = {piece.text[slice(*piece.value)]}")["value"] == found
