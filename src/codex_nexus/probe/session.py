"""`codex-nexus probe`: a small real conversation with one model, and the dialect fields that it suggests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from codex_nexus.errors import NoRoute
from codex_nexus.gateway.listing import Listings
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.upstream import Upstream
from codex_nexus.probe import world
from codex_nexus.probe.questions import QUESTIONS, Question, Result
from codex_nexus.probe.show import Show
from codex_nexus.probe.store import write
from codex_nexus.probe.talk import Answer, Repair, Talker
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.routing import Caller, Destination, usable_keys
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.dialect import Dialect, patched

_COSTS = (
    "Some dozen small questions are asked, which costs a few thousand tokens. "
    "What is refused is asked again in other words."
)
_CORE = ("text", "tool call")


class Row(Struct, frozen=True):
    """One line of the table."""

    question: str
    result: Result
    remark: str
    seconds: float = 0.0
    repairs: tuple[Repair, ...] = ()


class Report(Struct):
    """The whole table, and the dialect fields that make what was refused work."""

    provider: str
    model: str
    rows: list[Row] = msgspec.field(default_factory=list[Row])
    suggested: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    written: str = ""


async def probe(home: Path, name: str, *, as_json: bool = False, save: bool = False) -> int:
    """Probes `PROVIDER` or `PROVIDER/MODEL`. Gives the exit code: 1 when the model cannot serve Codex."""
    snapshot, show = world.read(home), Show(quiet=as_json)
    provider, _, model = name.partition("/")
    record = world.provider(snapshot, provider)
    upstream = Upstream()
    try:
        model = model or record.default_model or await _first(upstream, snapshot, record)
        show.title(f"Probing {record.name}: {model}", record.base_url)
        show.line(_COSTS, "dim")
        report = await examine(upstream, snapshot, record, model, show)
    finally:
        await upstream.close()
    if save and report.suggested:
        match = model if name.partition("/")[1] else "*"
        report.written = str(write(home, record.id, match, report.suggested))
    if as_json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(report), indent=2, ensure_ascii=False) + "\n")
    else:
        _advise(show, report, save=save)
    failed = {row.question for row in report.rows if row.result == "fails"}
    return 1 if failed.intersection(_CORE) else 0


async def _first(upstream: Upstream, snapshot: Snapshot, record: ProviderRecord) -> str:
    """The first model that the provider lists."""
    try:
        listed = await Listings(upstream).fetch(record.id, snapshot, Caller(owner=True))
    except UpstreamError as error:
        raise NoRoute(f"{error.fault.message.rstrip('.')}. Name a model: {record.id}/MODEL.") from None
    if not listed:
        raise NoRoute(f"{record.name} lists no models; name one: {record.id}/MODEL.")
    return listed[0].id


async def examine(upstream: Upstream, snapshot: Snapshot, record: ProviderRecord, model: str, show: Show) -> Report:
    """All questions, one after another."""
    keys = usable_keys(snapshot, record, Caller(owner=True))
    dialect = snapshot.catalogue.dialect(record.id, model)
    talker = Talker(upstream, snapshot, Destination(record, model, keys, dialect))
    report, answers = Report(record.id, model), dict[str, Answer]()
    for question in QUESTIONS:
        row = await _row(talker, question, answers)
        report.rows.append(row)
        show.result(row.question, row.result, row.remark)
        if question.name == "text" and row.result == "fails":
            break
    report.suggested = difference(dialect, talker.dialect)
    return report


async def _row(talker: Talker, question: Question, answers: dict[str, Answer]) -> Row:
    fields = question.fields(answers, talker.dialect)
    if isinstance(fields, str):
        return Row(question.name, "left out", fields)
    answer, dialect = await talker.ask(fields)
    answers[question.name] = answer
    row = _judged(question, answer)
    if row.result in ("works", "repaired", "differs") and answer.repairs:
        talker.dialect = dialect
    if row.result in ("works", "repaired"):
        return row
    for remedy in question.remedies:
        other = patched(dialect, {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in remedy.items()})
        if other == dialect:
            continue
        again, other = await talker.ask(fields, other)
        if _judged(question, again).result in ("works", "repaired"):
            talker.dialect, answers[question.name] = other, again
            said = ", ".join(f"{name}: {value}" for name, value in remedy.items())
            return Row(question.name, "repaired", f"{row.remark}; good with {said}", answer.seconds, again.repairs)
    return row


def _judged(question: Question, answer: Answer) -> Row:
    if answer.ending in ("refused", "failed"):
        return Row(question.name, "fails", answer.reason, answer.seconds, answer.repairs)
    verdict = question.judge(answer)
    remark = "; ".join(f"{repair.heal} after: {repair.refusal}" for repair in answer.repairs)
    result = "repaired" if verdict.result == "works" and answer.repairs else verdict.result
    remark = "; ".join(filter(None, (verdict.remark, remark)))
    return Row(question.name, result, remark, answer.seconds, answer.repairs)


def difference(before: Dialect, after: Dialect) -> dict[str, Any]:
    """The fields that changed, as they stand in a record."""
    changed = [name for name in Dialect.__struct_fields__ if getattr(before, name) != getattr(after, name)]
    return {name: json.loads(msgspec.json.encode(getattr(after, name))) for name in changed}


def _advise(show: Show, report: Report, *, save: bool) -> None:
    counts = {result: sum(row.result == result for row in report.rows) for result in ("works", "repaired", "fails")}
    show.line()
    show.line(f"{counts['works']} of {len(report.rows)} work, {counts['repaired']} after a repair.")
    if not report.suggested:
        show.line("The record says all of this already: there is nothing to write.", "green")
        return
    show.line("The record should say:", "bold")
    show.line(json.dumps(report.suggested, indent=2))
    if report.written:
        show.line(f"Written into {report.written} (the file before: .bak beside it).", "green")
    elif not save:
        show.line(f"codex-nexus probe {report.provider}/{report.model} --write puts it into providers.json.", "dim")
