"""The benchmark's runner: rounds of paired measurements, gateway and nginx, and the table with the goals.

`python bench/run.py --quick` takes under 90 seconds, without it some minutes; README.md says what the figures mean.
Exit code: 0, or 1 if a stream was invalid or a measurement failed, or with `--strict` if a goal was missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import core
import proc
from cases import Case, Figure, Figures
from goals import CORE_US, cases
from lab import HERE, Lab, LabError, Target, find_nginx, install_nginx

_LIMIT_S = 120.0
_KEPT_PACE = 0.9
_CORE_CHUNKS = 60
Rounds = dict[str, list[Figures]]


async def measure_all(lab: Lab, wanted: Sequence[Case], targets: list[Target]) -> Rounds:
    """Round by round, each case on each target; the order of the targets turns from round to round."""
    results: Rounds = {}
    for number in range(max(case.rounds for case in wanted)):
        for case in (case for case in wanted if number < case.rounds):
            for target in targets[::-1] if number % 2 else targets:
                if case.alone and target.name != "gateway":
                    continue
                figures = await _measure(lab, case, target)
                results.setdefault(f"{case.name}/{target.name}", []).append(figures)
    return results


async def _measure(lab: Lab, case: Case, target: Target) -> Figures:
    begun = time.monotonic()
    used = await _again(lab, target) if case.fresh else target
    try:
        figures = await asyncio.wait_for(case.measure(lab, used), _LIMIT_S)
    except Exception as error:
        _say(f"FAILED  {case.name} on {target.name}: {type(error).__name__}: {error}")
        figures = {}
    if case.fresh:
        lab.stop(used.process)
    if figures.get("pace", 1.0) < _KEPT_PACE:
        _say(f"NOT PACED  {case.name} on {target.name}: chunks piled up, the figure is too good")
    told = "  ".join(f"{key} {value:.2f}" for key, value in figures.items())
    _say(f"{case.name:12} {target.name:8} {told}   ({time.monotonic() - begun:.1f} s)")
    return figures


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def _again(lab: Lab, target: Target) -> Target:
    fresh = await lab.start_nginx() if target.name == "nginx" else await lab.start_gateway(lab.upstream.port)
    assert fresh
    return fresh


def table(wanted: Sequence[Case], results: Rounds) -> tuple[list[list[str]], int, int]:
    """The rows of the table, the number of missed goals and the number of failed measurements."""
    rows = [["figure", "unit", "gateway min/median", "nginx min/median", "relation", "goal", ""]]
    missed = 0
    for case in wanted:
        ours, theirs = (results.get(f"{case.name}/{name}", []) for name in ("gateway", "nginx"))
        for figure in case.figures:
            row = _row(figure, _values(ours, figure.key), _values(theirs, figure.key))
            rows.append(row)
            missed += row[-1] == "MISSED"
    return rows, missed, sum(not figures for rounds in results.values() for figures in rounds)


def _values(rounds: Sequence[Figures], key: str) -> list[float | None]:
    return [figures.get(key) for figures in rounds]


def _row(figure: Figure, ours: Sequence[float | None], theirs: Sequence[float | None]) -> list[str]:
    relation = _relation(figure, ours, theirs)
    value = statistics.median([one for one in ours if one is not None] or [float("nan")])
    judged = relation if figure.limit_on == "relation" else value
    goal = "" if figure.limit is None else f"<= {figure.limit:g}" + _sign(figure, on=figure.limit_on)
    verdict = "" if figure.limit is None or judged is None or judged != judged else _verdict(judged, figure.limit)
    told = "" if relation is None else f"{relation:+.2f}" if figure.relation == "added" else f"x{relation:.1f}"
    return [figure.title, figure.unit, _span(ours), _span(theirs), told, goal, verdict]


def _relation(figure: Figure, ours: Sequence[float | None], theirs: Sequence[float | None]) -> float | None:
    """The median over the rounds of gateway against nginx."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=False) if a is not None and b]
    if figure.relation == "none" or not pairs:
        return None
    added = figure.relation == "added"
    return statistics.median(a - b if added else a / b for a, b in pairs)


def _sign(figure: Figure, *, on: str) -> str:
    if on == "value":
        return f" {figure.unit}".rstrip()
    return " x nginx" if figure.relation == "ratio" else f" {figure.unit} added"


def _verdict(value: float, limit: float) -> str:
    return "ok" if value <= limit else "MISSED"


def _span(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{min(known):.2f} / {statistics.median(known):.2f}" if known else "-"


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if not number:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


async def _run(wanted: Sequence[Case], options: argparse.Namespace, home: Path) -> Rounds:
    async with Lab(home, options.source.resolve()) as lab:
        targets: list[Target] = []
        if not options.no_gateway:
            targets.append(await lab.start_gateway(lab.upstream.port))
        nginx = None if options.no_nginx else await lab.start_nginx()
        if nginx:
            targets.append(nginx)
        cases_here = [case for case in wanted if not (case.alone and options.no_gateway)]
        return await measure_all(lab, cases_here, targets) if cases_here else {}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [case.name for case in cases(quick=True)]
    parser = argparse.ArgumentParser(description="Measure the gateway against nginx on this machine.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, under 90 seconds")
    parser.add_argument("--only", action="append", metavar="NAME", help="core, " + ", ".join(names) + " or a prefix")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a goal is missed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rounds to FILE")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs and configurations in FOLDER")
    parser.add_argument("--source", type=Path, default=HERE.parent / "src", help="the source to run, for comparisons")
    parser.add_argument("--no-nginx", action="store_true", help="measure the gateway alone")
    parser.add_argument("--no-gateway", action="store_true", help="measure nginx alone (to check the benchmark itself)")
    return parser.parse_args(arguments)


def _chosen(options: argparse.Namespace, name: str) -> bool:
    return not options.only or any(name.startswith(prefix) for prefix in options.only)


def _core_row(options: argparse.Namespace) -> list[str]:
    times = core.measure(core.load(options.source.resolve()), 5 if options.quick else 15, _CORE_CHUNKS)
    median = statistics.median(times)
    span = f"{min(times):.2f} / {median:.2f}"
    return [
        "CPU per chunk, translation core alone",
        "us",
        span,
        "-",
        "",
        f"<= {CORE_US:g} us",
        _verdict(median, CORE_US),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    options, load = _options(arguments), os.getloadavg()[0]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is ended then, too
    os.sched_setaffinity(0, {proc.LOAD_CPU})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = [case for case in cases(quick=options.quick) if _chosen(options, case.name)]
    note = "" if options.no_nginx else install_nginx()
    if not options.no_nginx and not find_nginx():
        note = f"*** NGINX IS SKIPPED, NO RATIOS: {note} ***"
    with tempfile.TemporaryDirectory(prefix="nexus-bench-") as temporary:
        home = options.keep or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        try:
            results = asyncio.run(_run(wanted, options, home)) if wanted else {}
        except LabError as error:
            print(error, file=sys.stderr)
            return 1
    rows, missed, failed = table(wanted, results)
    if _chosen(options, "core") and not options.no_gateway:
        rows.append(_core_row(options))
        missed += rows[-1][-1] == "MISSED"
    _print_table(rows)
    if note:
        print(note)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=1))
    print(f"load of the machine before: {load:.1f} (every neighbour makes the figures worse; ratios suffer least)")
    print(f"goals missed: {missed}; measurements failed: {failed}")
    return 1 if failed or (options.strict and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
