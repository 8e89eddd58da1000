"""Two or three plain sentences, each made from what was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from batchpool.comparisons.analysis.arm_samples import Arm
from batchpool.comparisons.analysis.checks import CheckInput, Finding
from batchpool.comparisons.analysis.explanation import explain
from batchpool.comparisons.analysis.verdicts import ratio_of

_STARTUP_SHARE = 0.03
_CLOSE = 0.05
_NAMED = 4
Shown = Mapping[str, Any]


def conclude(case: CheckInput, arms: Sequence[Shown], found: Sequence[Finding]) -> list[str]:
    """What to take and by how much, why, and what to mind."""
    void = [each for each in found if each.weight == "void"]
    everybody = [each.message for each in void if each.arm is None]
    if everybody:
        more = f" ({len(everybody) - 1} more findings)" if len(everybody) > 1 else ""
        return [f"Nothing can be said of these arms: {everybody[0]}{more}."]
    sentences = [_choice(case, arms), explain(case, arms)]
    without = [arm["name"] for arm in arms if any(each.arm == arm["index"] for each in void)]
    if without:
        first = next(each.message for each in void)
        sentences.append(f"No verdict for {_and(without)}: {first}.")
    else:
        sentences.append(_startup(arms))
    return [sentence for sentence in sentences if sentence]


def _choice(case: CheckInput, arms: Sequence[Shown]) -> str:
    reference = case.reference.name
    faster = [arm for arm in arms if arm["verdict"] == "faster"]
    slower = [arm for arm in arms if arm["verdict"] == "slower"]
    same = [arm for arm in arms if arm["verdict"] == "no difference shown"]
    tail = "".join(
        f"; {_and([arm['name'] for arm in group])} {words}"
        for group, words in ((same, "shows no difference from it"), (slower, "is slower"))
        if group
    )
    tail = _plural(tail, same, slower)
    if not faster:
        if not same and not slower:
            return f"No arm has a verdict against {reference}."
        return f"Stay with {reference}: no arm is shown to be faster{tail}."
    best = min(faster, key=lambda arm: arm["ratio"]["value"])
    equal = [arm["name"] for arm in faster if arm is not best and _is_equal(case, arm, best)]
    also = f", and so may {_and(equal)}, which cannot be told from it" if equal else ""
    return f"Take {best['name']}: {_times(best)} as fast as {reference}{also}{tail}."


def _plural(tail: str, same: Sequence[Shown], slower: Sequence[Shown]) -> str:
    if len(same) > 1:
        tail = tail.replace("shows no", "show no")
    if len(slower) > 1:
        tail = tail.replace("is slower", "are slower")
    return tail


def _times(arm: Shown) -> str:
    value, low, high = (arm["speedup"][name] for name in ("value", "low", "high"))
    rounds = arm["ratio"]["rounds"]
    return f"{value:.2f} times ({low:.2f} to {high:.2f}, nominal 95 %, {rounds} rounds)"


def _is_equal(case: CheckInput, arm: Shown, best: Shown) -> bool:
    """Whether the two, compared with each other, differ by less than what was asked for."""
    walls: list[Arm] = [case.arms[arm["index"]], case.arms[best["index"]]]
    ratio = ratio_of(walls[0].walls, walls[1].walls, case.spec["seed"])
    return ratio is not None and not (
        ratio.excludes_one and ratio.is_as_large_as(case.spec["min_effect"])
    )


def _startup(arms: Sequence[Shown]) -> str:
    """Names what arms spend on starting, where it is worth a word."""
    costly = [
        (arm, startup_s)
        for arm in arms
        if arm["parts"]
        and arm["median_s"]
        and (startup_s := arm["parts"]["startup_s"] or 0.0) > _STARTUP_SHARE * arm["median_s"]
    ]
    if not costly:
        return ""
    costly.sort(key=lambda pair: -pair[1])
    named = [
        f"{arm['name']} {startup_s:.2f} s ({startup_s / arm['median_s']:.0%})"
        for arm, startup_s in costly[:_NAMED]
    ]
    return f"Of their time go to starting threads, processes or pools: {_and(named)}{_rest(arms)}."


def _rest(arms: Sequence[Shown]) -> str:
    """How far arms with as many tasks in flight as the best one lie apart without that."""
    faster = [arm for arm in arms if arm["verdict"] == "faster" and arm["parts"]]
    if not faster:
        return ""
    lanes = min(faster, key=lambda arm: float(arm["ratio"]["value"]))["max_in_flight"]
    alike = [arm for arm in faster if arm["max_in_flight"] == lanes]
    left = [arm["median_s"] - (arm["parts"]["startup_s"] or 0.0) for arm in alike]
    if len(left) < 2 or min(left) <= 0 or max(left) / min(left) > 1 + _CLOSE:
        return ""
    return (
        f"; without that the {len(left)} faster arms with {lanes} tasks in flight lie within "
        f"{max(left) / min(left) - 1:.1%} of each other"
    )


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
