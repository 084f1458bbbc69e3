"""`codex-nexus probe`: a small real conversation with one model, and the dialect fields that it suggests."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec

from codex_nexus.errors import NoRoute
from codex_nexus.gateway.listing import Listings
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.upstream import Upstream
from codex_nexus.probe import world
from codex_nexus.probe.fields import difference
from codex_nexus.probe.questions import QUESTIONS
from codex_nexus.probe.report import Report, advice
from codex_nexus.probe.show import Show
from codex_nexus.probe.store import write
from codex_nexus.probe.talk import Talker
from codex_nexus.probe.trial import row_of
from codex_nexus.probe.verdicts import Answers
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.routing import Caller, Destination, usable_keys
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.faults import Fault

_COSTS = (
    f"{len(QUESTIONS)} small questions are asked, which costs a few thousand tokens. "
    "What is refused is asked again in other words."
)


async def probe(home: Path, name: str, *, as_json: bool = False, save: bool = False) -> int:
    """Probes `PROVIDER` or `PROVIDER/MODEL`. Gives the exit code: 1 when the model cannot serve Codex."""
    snapshot = world.read(home)
    provider, _, model = name.partition("/")
    record = world.provider(snapshot, provider)
    usable_keys(snapshot, record, Caller(owner=True))
    upstream = Upstream()
    with Show(quiet=as_json) as show:
        try:
            model = model or record.default_model or await _first(upstream, snapshot, record, show)
            show.title(f"Probing {record.name}: {model}", record.base_url)
            show.line(_COSTS, "dim")
            report = await examine(upstream, snapshot, record, model, show)
        finally:
            await upstream.close()
    if save and report.suggested:
        match = model if name.partition("/")[1] else "*"
        report.written = str(write(home, record.id, match, model, report.suggested))
    if as_json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(report), indent=2, ensure_ascii=False) + "\n")
    else:
        _close(show, report, save=save)
    return 0 if report.serves else 1


async def _first(upstream: Upstream, snapshot: Snapshot, record: ProviderRecord, show: Show) -> str:
    """The first model that the provider lists."""
    show.doing(f"Asking {record.name} for its models")
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
    report, answers = Report(record.id, model), Answers()
    for n, question in enumerate(QUESTIONS, 1):
        show.doing(f"{question.name} ({n} of {len(QUESTIONS)})")
        row, fault = await row_of(talker, question, answers)
        report.rows.append(row)
        show.result(row.question, row.result, row.remark)
        if row.question == "text" and row.result == "fails":
            fault = fault or answers["text"].fault or Fault("empty", row.remark)
        if fault is not None:
            report.stopped = row.remark
            report.advice = advice(fault, record.id, model, record.base_url)
            break
    report.suggested = difference(dialect, talker.learned())
    return report


def _close(show: Show, report: Report, *, save: bool) -> None:
    show.line()
    if len(report.rows) > 1:
        show.line(report.summary())
    for sentence in filter(None, (report.verdict(), report.advice)):
        show.line(sentence, "yellow")
    if not report.suggested:
        if all(row.result == "works" for row in report.rows) and not report.stopped:
            show.line("Nothing needs to be set: the record has it all already.", "green")
        elif report.serves:
            show.line("No field of the record is known to change that.")
        return
    show.line("The record should say:", "bold")
    show.line(json.dumps(report.suggested, indent=2, ensure_ascii=False))
    if report.written:
        said = f"Written into {report.written}; the file before stays beside it as .bak."
        show.line(f"{said} A gateway that runs takes it at its next start or reload.", "green")
    elif not save:
        show.line(f"codex-nexus probe {report.provider}/{report.model} --write puts it into providers.json.", "dim")
