from __future__ import annotations

import base64
import hashlib

import pytest
from msgspec import Raw

from codex_nexus.translate.sealed import Sealed, seal, unseal

REASONING = Sealed("reasoning", "f", "thought ü", [Raw(b'{"a":1}')], {"c1": Raw(b'{"sig":"x"}')})


def signed(data: bytes) -> str:
    body = base64.urlsafe_b64encode(data).decode()
    return f"nexus1.{hashlib.sha256(body.encode()).hexdigest()[:12]}.{body}"


def test_what_we_sealed_comes_back_as_it_was() -> None:
    opened = unseal(seal(REASONING), "reasoning")
    assert opened is not None
    assert (opened.family, opened.text) == ("f", "thought ü")
    assert [bytes(detail) for detail in opened.details] == [b'{"a":1}']
    assert {call_id: bytes(raw) for call_id, raw in opened.signatures.items()} == {"c1": b'{"sig":"x"}'}


def test_a_summary_is_no_reasoning() -> None:
    blob = seal(Sealed("summary", text="s"))
    assert unseal(blob, "summary") == Sealed("summary", text="s")
    assert unseal(blob, "reasoning") is None


@pytest.mark.parametrize(
    "blob",
    [
        None,
        "",
        "gAAAAABo",
        "nexus2.x.y",
        "nexus1.",
        "nexus1.abc",
        seal(REASONING)[:-4],
        seal(REASONING) + "A",
        "nexus1.\ud83d",
    ],
)
def test_a_foreign_or_damaged_blob_is_nothing(blob: str | None) -> None:
    assert unseal(blob, "reasoning") is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"kind":"other"}', b'{"text":5}'])
def test_a_blob_of_another_version_is_nothing(data: bytes) -> None:
    assert unseal(signed(data), "reasoning") is None


def test_a_body_that_is_no_base64_is_nothing() -> None:
    assert unseal(f"nexus1.{hashlib.sha256(b'x').hexdigest()[:12]}.x", "reasoning") is None
