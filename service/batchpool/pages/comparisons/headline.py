"""The conclusion of a comparison: the arm to take, how sure that is, and why; pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from batchpool.charts import numbers
from batchpool.comparisons.analysis.explanation import fastest
from batchpool.model import TERMINAL_STATES
from batchpool.pages.comparisons.progress import progress_sentence
from batchpool.schemas.comparison_responses import ArmResult, Comparison

_LABELS: Final = (
    ("The reason: ", "Why"),
    ("The GIL ", "Why"),
    ("Time spent ", "Cost"),
    ("No verdict for ", "But"),
)
"""How the sentences of a conclusion begin, and what stands beside them."""


@dataclass(frozen=True)
class Headline:
    """The top of the page.

    Args:
        title: one sentence: take this arm, stay with the reference, or nothing is proven.
        rows: a word, and the sentence beside it.
        figure: the ratio of the arm to take, "" without one.
        interval: of that ratio, and what it rests on.
    """

    title: str
    rows: tuple[tuple[str, str], ...]
    figure: str = ""
    interval: tuple[str, str] = ("", "")


def headline(comparison: Comparison, left_s: float | None) -> Headline:
    """The conclusion first; before the end, how far it is.

    Args:
        left_s: a forecast of the rest.
    """
    if comparison.state not in TERMINAL_STATES:
        return Headline(*progress_sentence(comparison, left_s))
    found = _conclusion(comparison)
    return replace(found, rows=(*_conditions(comparison), *found.rows))


def _conditions(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Each thing that the comparison had to show, with its outcome as the word beside it."""
    for each in comparison.conditions or ():
        yield each.outcome.capitalize(), f"{each.condition}: {numbers.tidy(each.why)}."


def _conclusion(comparison: Comparison) -> Headline:
    best = best_arm(comparison)
    sentences = comparison.conclusion or []
    if best is not None and best.speedup is not None:
        return _take(comparison, best, sentences)
    if any(arm.verdict for arm in comparison.arms or ()):
        reference = reference_name(comparison)
        title = f"Stay with {reference}. No arm is shown to be faster."
        return Headline(title, tuple(_rows(sentences, "Seen")))
    return Headline("Nothing is proven.", tuple(_reasons(comparison, sentences)))


def best_arm(comparison: Comparison) -> ArmResult | None:
    """The fastest of the arms that are shown to be faster than the reference."""
    return fastest(comparison.arms or [])


def reference_name(comparison: Comparison) -> str:
    """The name of the arm that the others are measured against."""
    return comparison.spec.arms[comparison.spec.reference].name


def _take(comparison: Comparison, best: ArmResult, sentences: Sequence[str]) -> Headline:
    speedup = best.speedup
    assert speedup is not None
    times = numbers.with_unit(numbers.ratio_figure(speedup.value), "times")
    title = f"Take {best.name}. It is {times} as fast as {reference_name(comparison)}."
    rounds = best.ratio.rounds if best.ratio else best.rounds
    span = f"{numbers.ratio_figure(speedup.low)} to {numbers.ratio_figure(speedup.high)}"
    basis = f"nominal {numbers.percent(0.95)} interval, {numbers.plural(rounds, 'round')}"
    return Headline(
        title, tuple(_rows(sentences, "Or")), numbers.ratio(speedup.value), (span, basis)
    )


def _rows(sentences: Sequence[str], label: str) -> list[tuple[str, str]]:
    """The first sentence without what the title says, beside `label`; the others by their kind."""
    if not sentences:
        return []
    _, _, others = sentences[0].rstrip(".").partition("; ")
    # It begins with the name of an arm, so without a capital.
    rows = [(label, numbers.tidy(others) + ".")] if others else []
    return rows + [_labelled(sentence) for sentence in sentences[1:]]


def _labelled(sentence: str) -> tuple[str, str]:
    for start, label in _LABELS:
        if sentence.startswith(start):
            return label, _sentence(sentence.removeprefix("The reason: "))
    return "Also", _sentence(sentence)


def _reasons(comparison: Comparison, sentences: Sequence[str]) -> list[tuple[str, str]]:
    """Why there is no verdict: the findings that took it away, or what the arms say."""
    findings = [finding.message for finding in comparison.guard or ()]
    if not findings:
        findings = [sentence for sentence in sentences if sentence]
    if not findings and comparison.error:
        findings = [comparison.error.message]
    if not findings:
        findings = sorted({arm.why for arm in comparison.arms or () if arm.ratio is None})
    return [("Why", _sentence(text)) for text in findings[:1]] + [
        ("Also", _sentence(text)) for text in findings[1:]
    ]


def _sentence(text: str) -> str:
    return numbers.tidy(text[:1].upper() + text[1:].rstrip(".") + ".") if text else ""
