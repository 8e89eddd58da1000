"""The conclusion: two or three sentences, each made from what was measured."""

from collections.abc import Sequence

from batchpool.comparisons.analysis.checks import CheckInput, Finding
from batchpool.comparisons.analysis.explanation import explain, fastest
from batchpool.comparisons.analysis.verdicts import ratio_of
from batchpool.schemas.comparison_responses import ArmResult

_STARTUP_SHARE = 0.03
_CLOSE = 0.05
_NAMED = 4


def conclude(
    data: CheckInput, results: Sequence[ArmResult], findings: Sequence[Finding]
) -> list[str]:
    """Sentences: the arm to use and its speedup, the reason, and the limits of the result."""
    errors = [finding for finding in findings if finding.severity == "error"]
    of_all = [finding.message for finding in errors if finding.arm is None]
    if of_all:
        more = f" ({len(of_all) - 1} more findings)" if len(of_all) > 1 else ""
        return [f"No verdict for any arm: {of_all[0]}{more}."]
    sentences = [_choice(data, results), explain(data, results)]
    without = [result.name for result in results if any(f.arm == result.index for f in errors)]
    if without:
        sentences.append(f"No verdict for {_and(without)}: {errors[0].message}.")
    else:
        sentences.append(_startup(results))
    return [sentence for sentence in sentences if sentence]


def _choice(data: CheckInput, results: Sequence[ArmResult]) -> str:
    reference = data.reference.name
    same = [result.name for result in results if result.verdict == "no difference shown"]
    slower = [result.name for result in results if result.verdict == "slower"]
    others = ""
    if same:
        verb = "show" if len(same) > 1 else "shows"
        others += f"; {_and(same)} {verb} no difference from {reference}"
    if slower:
        others += f"; {_and(slower)} {'are' if len(slower) > 1 else 'is'} slower"
    best = fastest(results)
    if best is None:
        if not same and not slower:
            return f"No arm has a verdict against {reference}."
        return f"Stay with {reference}: no arm is shown to be faster{others}."
    equal = [
        result.name
        for result in results
        if result.verdict == "faster" and result is not best and _is_equal(data, result, best)
    ]
    also = f"; {_and(equal)} cannot be distinguished from it" if equal else ""
    return f"Use {best.name}: {_times(best)} as fast as {reference}{also}{others}."


def _times(result: ArmResult) -> str:
    if result.speedup is None or result.ratio is None:
        return "an unknown number of times"
    speedup, rounds = result.speedup, result.ratio.rounds
    interval = f"{speedup.low:.2f} to {speedup.high:.2f}, nominal 95 %, {rounds} rounds"
    return f"{speedup.value:.2f} times ({interval})"


def _is_equal(data: CheckInput, result: ArmResult, best: ArmResult) -> bool:
    """Whether the two, compared with each other, differ by less than `min_effect`."""
    walls, best_walls = data.arms[result.index].walls, data.arms[best.index].walls
    ratio = ratio_of(walls, best_walls, data.spec.seed)
    return ratio is not None and not (
        ratio.excludes_one and ratio.is_as_large_as(data.spec.min_effect)
    )


def _startup(results: Sequence[ArmResult]) -> str:
    """The share of time that arms spend on starting, where it is worth a sentence."""
    costly = [
        (startup_s, result.median_s, result.name)
        for result in results
        if result.median_s and (startup_s := _startup_s(result)) > _STARTUP_SHARE * result.median_s
    ]
    if not costly:
        return ""
    costly.sort(key=lambda row: -row[0])
    named = [
        f"{name} {startup_s:.2f} s ({startup_s / median_s:.0%})"
        for startup_s, median_s, name in costly[:_NAMED]
    ]
    return f"Time spent on starting threads, processes or pools: {_and(named)}{_without(results)}."


def _startup_s(result: ArmResult) -> float:
    return (result.parts or {}).get("startup_s") or 0.0


def _without(results: Sequence[ArmResult]) -> str:
    """The distance without that time between arms with as many tasks in flight as the best."""
    faster = [result for result in results if result.verdict == "faster" and result.parts]
    best = fastest(faster)
    if best is None:
        return ""
    alike = [result for result in faster if result.max_in_flight == best.max_in_flight]
    left = [(result.median_s or 0.0) - _startup_s(result) for result in alike]
    if len(left) < 2 or min(left) <= 0 or max(left) / min(left) > 1 + _CLOSE:
        return ""
    return (
        f"; without it the {len(left)} faster arms with {best.max_in_flight} tasks in flight are "
        f"within {max(left) / min(left) - 1:.1%} of each other"
    )


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
