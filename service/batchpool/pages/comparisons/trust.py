"""Can it be trusted? What was checked, and what was found, in words; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from batchpool.charts import numbers
from batchpool.pages.comparisons.headline import reference_name
from batchpool.schemas.comparison_responses import Comparison, FindingInfo

_WORK: Final = frozenset({"failed", "killed", "items", "checksum"})
_PLAN: Final = frozenset({"rounds", "order", "disturbed"})
_MACHINE: Final = frozenset({"throttled", "gil", "place", "drift", "load"})
_LIMITS: Final = frozenset({"impossible", "concurrency", "clock", "unaccounted", "pool"})


@dataclass(frozen=True)
class Check:
    """One line: what was checked, and the figures behind it."""

    kind: Literal["good", "warn", "bad"]
    title: str
    text: str


def trust(comparison: Comparison) -> list[Check]:
    """What took verdicts away, then warnings, then what was found to be in order."""
    errors, warnings = comparison.guard or [], comparison.warnings or []
    arms = len(comparison.spec.arms)
    checks = [Check("bad", "No verdict:", text) for text in _texts(errors, arms)]
    checks += [Check("warn", "Note:", text) for text in _texts(warnings, arms)]
    found = {each.kind for each in (*errors, *warnings)}
    return checks + _in_order(comparison, found)


def _texts(findings: Sequence[FindingInfo], arms: int) -> list[str]:
    """One sentence per finding; what is the same for several arms is said once."""
    named: dict[str, list[str]] = {}
    for finding in findings:
        text = finding.message.rstrip(".")
        own = f"{finding.arm}: "
        if finding.arm is None or not text.startswith(own):
            named.setdefault(text, [])
        else:
            named.setdefault(text.removeprefix(own), []).append(finding.arm)
    return [numbers.tidy(_sentence(text, of, arms)) for text, of in named.items()]


def _sentence(text: str, of: Sequence[str], arms: int) -> str:
    if not of:
        return f"{text}."
    if len(of) == 1:
        return f"{of[0]}: {text}."
    return f"{text} ({'all arms' if len(of) == arms else ', '.join(of)})."


def _in_order(comparison: Comparison, found: set[str]) -> list[Check]:
    rounds = numbers.plural(comparison.spec.rounds, "round")
    checks = []
    if comparison.aa and comparison.aa.passed and comparison.aa.ratio:
        ratio = comparison.aa.ratio
        span = f"{numbers.ratio_figure(ratio.low)} to {numbers.ratio_figure(ratio.high)}"
        text = (
            f"{reference_name(comparison)} against itself: {numbers.ratio(ratio.value)} ({span})."
        )
        checks.append(Check("good", "The control equals the reference.", text))
    if comparison.arms and not found & _WORK:
        text = "Same items, same results, nothing failed."
        checks.append(Check("good", "Every arm did the same work.", text))
    if comparison.arms and not found & _PLAN:
        text = f"{rounds} each, in turns, in a new order each time. {_repeated(comparison)}"
        checks.append(Check("good", "The plan was kept.", text))
    if comparison.arms and not found & _MACHINE:
        text = "Same hosts, same Python, same speed from start to end."
        checks.append(Check("good", "The machine stayed the same.", text))
    if comparison.arms and not found & _LIMITS:
        text = "All clocks agree, and each arm had as many tasks in flight as it was to have."
        checks.append(Check("good", "No time is impossible.", text))
    return checks


def _repeated(comparison: Comparison) -> str:
    disturbed = comparison.progress.disturbed
    if not disturbed:
        return "No run had to be repeated."
    return f"{numbers.plural(disturbed, 'run')} had to be repeated."
