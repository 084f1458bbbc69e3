"""One question to the end: asked, judged, and asked again with remedies as long as these bring it further."""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

from codex_nexus.probe.fields import Fields, laid_over, shown
from codex_nexus.probe.questions import Asked, Question
from codex_nexus.probe.talk import LEAKED_THOUGHT, RESCUED, Answer, Repair, Talker
from codex_nexus.probe.verdicts import Answers, Result, Verdict
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.faults import Fault, FaultKind

_REFUSALS = {400, 413, 415, 422, 500, 501}
"""Statuses of a request that is refused as it is worded; local servers say 500, too."""
_HOPELESS: set[FaultKind] = {"auth", "insufficient_quota", "rate_limit", "unreachable"}
"""Every later question would end in the same way."""
_WORTH: dict[Result, int] = {"works": 2, "repaired": 2, "differs": 1, "fails": 0, "left out": 0}


class Row(Struct, frozen=True):
    """One line of the table; `repairs` made it good."""

    question: str
    result: Result
    remark: str = ""
    seconds: float = 0.0
    repairs: tuple[Repair, ...] = ()


class Trial(Struct, frozen=True):
    """An answer, what it is worth, and what had to be said otherwise for it."""

    answer: Answer
    verdict: Verdict
    repairs: tuple[Repair, ...] = ()

    @property
    def worth(self) -> int:
        """2: good, 1: an answer, 0: none."""
        return _WORTH[self.verdict.result]


async def row_of(talker: Talker, question: Question, answers: Answers) -> tuple[Row, Fault | None]:
    """The line of this question, and why no other question is worth asking after it.

    An answer joins `answers`, and the words in which it was got are the talker's from now on.
    """
    asked = question.asked(answers)
    if isinstance(asked, str):
        return Row(question.name, "left out", asked), None
    asking = _Asking(talker, question, asked, answers)
    trial = await asking.mended(await asking.tried(talker.dialect))
    answers[question.name] = trial.answer
    if trial.worth:
        talker.dialect = trial.answer.dialect
    fault = trial.answer.fault
    return _row(question, trial), fault if fault is not None and fault.kind in _HOPELESS else None


class _Asking:
    """What the steps of one question share."""

    def __init__(self, talker: Talker, question: Question, asked: Asked, answers: Answers) -> None:
        self._talker = talker
        self._question = question
        self._asked = asked
        self._answers = answers

    async def tried(self, dialect: Dialect) -> Trial:
        """One try, with the repairs that refusals ask for."""
        answer = await self._talker.ask(self._asked, dialect)
        if answer.refused:
            return Trial(answer, Verdict("fails", answer.reason), answer.repairs)
        return Trial(answer, self._question.judge(answer, self._answers), answer.repairs)

    async def mended(self, trial: Trial) -> Trial:
        """The same with remedies; one that does not help is taken back."""
        base, taken = trial.answer.dialect, list[Fields]()
        for remedy in self._remedies(trial):
            if _WORTH["works"] == trial.worth:
                break
            dialect = laid_over(trial.answer.dialect, remedy)
            if not self._new(trial, dialect):
                continue
            other = await self.tried(dialect)
            if other.worth > trial.worth or _further(trial, other):
                helped = not self._lucky(trial, other)
                step = Repair(trial.verdict.remark, remedy if helped else {})
                answer = other.answer if helped else replace(other.answer, dialect=trial.answer.dialect)
                trial = Trial(answer, other.verdict, (*trial.repairs, step, *other.repairs))
                taken.append(step.fields)
        return await self._pruned(trial, base, taken)

    def _remedies(self, trial: Trial) -> tuple[Fields, ...]:
        if not trial.answer.refused:
            return self._question.answered
        fault = trial.answer.fault
        if fault is None or fault.status not in _REFUSALS or fault.kind in _HOPELESS:
            return ()
        return self._question.refused if fault.kind != "server" or self._answers else ()

    def _new(self, trial: Trial, dialect: Dialect) -> bool:
        """Whether a try in these words can end otherwise."""
        if dialect == trial.answer.dialect:
            return False
        return not trial.answer.refused or self._talker.differ(self._asked, trial.answer.dialect, dialect)

    def _lucky(self, trial: Trial, other: Trial) -> bool:
        """Whether the very same request went well the second time, and nothing that was read otherwise helped."""
        same = not self._talker.differ(self._asked, trial.answer.dialect, other.answer.dialect)
        parted = LEAKED_THOUGHT in trial.answer.warnings and other.answer.thought
        return same and not parted and RESCUED not in other.answer.warnings

    async def _pruned(self, trial: Trial, base: Dialect, taken: list[Fields]) -> Trial:
        """Of several remedies only those that are needed together."""
        for remedy in taken[:-1]:
            rest = [other for other in taken if other is not remedy]
            other = await self.tried(
                laid_over(base, {name: value for fields in rest for name, value in fields.items()})
            )
            if other.worth >= trial.worth:
                taken = rest
                trial = replace(other, repairs=tuple(step for step in trial.repairs if step.fields is not remedy))
        return trial


def _further(trial: Trial, other: Trial) -> bool:
    """Whether something else is refused now, so that one complaint is met."""
    return trial.answer.refused and other.answer.refused and _gist(trial) != _gist(other)


def _gist(trial: Trial) -> str:
    return re.sub(r"\d+", "", trial.answer.reason)


def _row(question: Question, trial: Trial) -> Row:
    verdict, repairs = trial.verdict, trial.repairs
    words, seconds = [verdict.remark] if verdict.remark else [], round(trial.answer.seconds, 3)
    if trial.worth < _WORTH["works"]:
        return Row(question.name, verdict.result, verdict.remark, seconds, repairs)
    if repairs:
        fields = {name: value for repair in repairs for name, value in repair.fields.items()}
        troubles = dict.fromkeys(repair.trouble for repair in repairs)
        how = (f"with {shown(fields)}", "without it") if fields else ("when asked again", "at first")
        words += [how[0], f"{how[1]}: {' / '.join(troubles)}"]
    return Row(question.name, "repaired" if repairs else "works", "; ".join(words), seconds, repairs)
