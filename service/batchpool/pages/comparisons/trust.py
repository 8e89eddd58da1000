"""Can it be trusted? What was checked, and what was found, in words; pure."""

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
    checks = [_finding("bad", "No verdict", each) for each in errors]
    checks += [_finding("warn", "Mind", each) for each in warnings]
    found = {each.kind for each in (*errors, *warnings)}
    return checks + _in_order(comparison, found)


def _finding(kind: Literal["warn", "bad"], title: str, finding: FindingInfo) -> Check:
    return Check(kind, f"{title}:", numbers.tidy(finding.message.rstrip(".") + "."))


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
