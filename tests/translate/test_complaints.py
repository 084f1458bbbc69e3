"""What a refusal says, in every shape in which providers say it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codex_nexus.translate.complaints import Complaint, read_complaint

LONG = "x" * 3000


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"error": {"message": "m", "code": 5, "type": "t", "param": "p"}}, Complaint("m", "5", "t", "p")),
        ({"error": {"detail": "m", "status": "S"}}, Complaint("m", "", "S")),
        ({"error": {"message": "m", "failed_generation": "<f>"}}, Complaint("m", generation="<f>")),
        ({"error": {"message": "m", "metadata": {"raw": '{"error":{"message":"inner"}}'}}}, Complaint("m: inner")),
        ({"error": {"message": "m", "metadata": {"raw": "<html>"}}}, Complaint("m: <html>")),
        ({"error": {"message": "m", "metadata": {"raw": 5}}}, Complaint("m")),
        ({"error": {"message": {"a": [1]}}}, Complaint('{"a":[1]}')),
        ({"error": "m"}, Complaint("m")),
        ({"error": "m", "code": "c"}, Complaint("m", "c")),
        ({"error": "Not Found", "message": "m"}, Complaint("m")),
        ({"error": True, "message": {"a": 1}}, Complaint("True")),
        ([{"error": {"message": "m"}}], Complaint("m")),
        ([], Complaint()),
        ({"code": 7, "message": "m"}, Complaint("m", "7")),
        ({"code": "1302", "msg": "m", "success": False}, Complaint("m", "1302")),
        ({"object": "error", "message": {"detail": "m"}}, Complaint("m")),
        ({"detail": [{"loc": ["body"]}]}, Complaint('[{"loc":["body"]}]')),
        ({"type": "about:blank", "title": "Gone"}, Complaint("Gone", "", "about:blank")),
        ({"base_resp": {"status_code": 1008, "status_msg": "m"}}, Complaint("m", "1008")),
        ("m", Complaint("m")),
        (None, Complaint()),
    ],
)
def test_a_complaint_is_found_in_every_shape(body: Any, complaint: Complaint) -> None:
    assert read_complaint(json.dumps(body).encode()) == complaint


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", Complaint()),
        (b"  \n", Complaint()),
        (b"<html>502</html>", Complaint()),
        (b"upstream connect error", Complaint("upstream connect error")),
        (b'data: {"error":{"message":"m"}}\n\n', Complaint("m")),
        (b'{"error":{"message":"\\ud83d"}}', Complaint("\ufffd")),
        (b"\xff", Complaint("\ufffd")),
        (b"[" * 150 + b'{"error":"m"}' + b"]" * 150, Complaint("m")),
        (LONG.encode(), Complaint(LONG[:2000])),
        (json.dumps({"error": LONG}).encode(), Complaint(LONG[:2000])),
    ],
    ids=lambda value: None,
)
def test_a_body_that_is_no_json_is_its_own_complaint(body: bytes, complaint: Complaint) -> None:
    assert read_complaint(body) == complaint
