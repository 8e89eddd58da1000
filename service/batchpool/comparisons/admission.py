"""Whether a comparison can be run by the workers there are, and the complete spec it then has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from batchpool.backends.facts import BACKENDS
from batchpool.comparisons.analysis.significance import rounds_needed
from batchpool.comparisons.arms import ARM_FIELDS, find_reference, name_arms, read_arms
from batchpool.comparisons.planning import workers_needed
from batchpool.comparisons.refusals import nested
from batchpool.jobs.admission import Limits, admit, shown_count
from batchpool.jobs.fleet import Fleet
from batchpool.jobs.items_digest import summarize_items
from batchpool.jobs.planning import JobPlan, Requirements, can_run, rank_classes
from batchpool.ledger.announcements import WorkerCapabilities
from batchpool.ledger.job_spec import ItemsSummary, JobSpec
from batchpool.ledger.keys import base_class
from batchpool.schemas.comparison_requests import (
    MOST_ROUNDS,
    MOST_RUNS,
    ArmRequest,
    ComparisonRequest,
    job_of,
)
from batchpool.schemas.refusals import FieldError, InvalidFields, invalid_field

MOST_ITEMS = 100_000
"""Of a comparison: each run reads the records of all of them in the pause after it."""


@dataclass(frozen=True)
class AdmittedComparison:
    """A comparison that can be run: its spec, and the class of the workers that it needs."""

    spec: dict[str, Any]
    class_id: str


def admit_comparison(
    order: ComparisonRequest, fleet: Fleet, most_batches: int, choose_seed: Callable[[], int]
) -> AdmittedComparison:
    """The comparison as it will be run.

    Raises:
        InvalidFields: what no worker could do, what is out of bounds, or too much of it.
        NoWorkerSeen: no worker was ever seen.
    """
    _check_size(order)
    ordered = read_arms(order)
    _check_rounds(order, len(ordered))
    limits = Limits(MOST_ITEMS, most_batches)
    items = summarize_items(range(order.total) if order.items is None else order.items)
    # Each arm alone first: what is wrong with one is said of that one.
    alone = [_admit_arm(order, field, arm, fleet, limits, items) for field, arm in ordered]
    shared = _classes_for_all([admitted.spec for admitted in alone], fleet)
    one = Fleet([shared], fleet.workers)
    specs = [_admit_arm(order, *each, one, limits, items).spec for each in ordered]
    solo = _admit_arm(order, "task", _solo(order, shared), one, limits, items).spec
    spec = _complete(order, specs, [arm.name for _, arm in ordered], solo)
    spec["seed"] = choose_seed() if order.seed is None else order.seed
    _check_workers(spec, shared, fleet)
    return AdmittedComparison(spec, shared.id)


def _check_size(order: ComparisonRequest) -> None:
    if order.total > MOST_ITEMS:
        source = "items" if order.items is not None else "count"
        got = shown_count(order.total)
        raise invalid_field(
            source, f"must be at most {MOST_ITEMS} items in a comparison, got {got}"
        )


def _check_rounds(order: ComparisonRequest, arms: int) -> None:
    needed = rounds_needed(arms)
    runs = (arms + 1) * order.rounds
    if order.rounds < needed:
        raise invalid_field(
            "rounds",
            f"must be {needed} to {MOST_ROUNDS} with {arms} arms, got {order.rounds}: with fewer "
            f"no verdict is possible (the least p after Holm's adjustment is above 0.05)",
        )
    if runs > MOST_RUNS:
        raise invalid_field(
            "rounds",
            f"({arms} arms + 1 control) × {order.rounds} rounds are {runs} runs; "
            f"at most {MOST_RUNS} are possible",
        )


def _admit_arm(
    order: ComparisonRequest,
    field: str,
    arm: ArmRequest,
    fleet: Fleet,
    limits: Limits,
    items: ItemsSummary,
) -> JobPlan:
    facts = BACKENDS.get(arm.backend)
    if facts is not None and facts.slot_kind == "chosen":
        message = f"{arm.backend} chooses how it runs, so it cannot be an arm"
        raise invalid_field(f"{field}.backend", message)
    try:
        return admit(job_of(order, arm), fleet, limits, items)
    except InvalidFields as refusal:
        raise InvalidFields(_blamed(field, refusal)) from None


def _blamed(field: str, refusal: InvalidFields) -> list[FieldError]:
    """The errors, with those that are an arm's own named as such."""
    errors = []
    for error in refusal.errors:
        is_own = error.field.partition(".")[0] in ARM_FIELDS
        errors += nested(field, [error]) if is_own else [error]
    return errors


def _classes_for_all(specs: Sequence[JobSpec], fleet: Fleet) -> WorkerCapabilities:
    needs = [Requirements.of_spec(spec) for spec in specs]
    able = [each for each in fleet.classes if all(can_run(each, need) for need in needs)]
    ranked = rank_classes(able, fleet.workers, needs[0])
    if not ranked:
        seen = ", ".join(sorted(f"Python {each.python}" for each in fleet.classes))
        raise invalid_field(
            "arms",
            f"each arm can be run, but no single class of workers can run all; seen: {seen}",
        )
    return ranked[0]


def _solo(order: ComparisonRequest, known: WorkerCapabilities) -> ArmRequest:
    """How the items are run one after the other."""
    if known.tasks[order.task].has_sync:
        return ArmRequest(name=None, backend="sequential")
    return ArmRequest(name=None, backend="asyncio", concurrency=1)


def _complete(
    order: ComparisonRequest,
    specs: Sequence[JobSpec],
    given: Sequence[str | None],
    solo: JobSpec,
) -> dict[str, Any]:
    arms = [{name: getattr(spec, name) for name in ARM_FIELDS} for spec in specs]
    named = [{"name": name} | arm for name, arm in zip(name_arms(arms, given), arms, strict=True)]
    return {
        "task": order.task,
        "params": specs[0].params,
        "count": order.total,
        "items": specs[0].items.to_json(),
        "arms": named,
        "solo": {name: getattr(solo, name) for name in ARM_FIELDS},
        "reference": find_reference(order.reference, named),
        "rounds": order.rounds,
        "warmup": order.warmup,
        "min_effect": order.min_effect,
        "timeout_s": order.timeout_s,
        "labels": order.labels,
    }


def _check_workers(spec: dict[str, Any], known: WorkerCapabilities, fleet: Fleet) -> None:
    """Refuse what would wait for ever: more workers at once than live."""
    # Those that are reserved for the comparison of the moment come back from it.
    live = sum(
        base_class(worker.class_id) == known.id
        for worker in fleet.workers
        if worker.state != "draining"
    )
    needed = workers_needed(spec)
    if needed > live:
        widest = max(spec["arms"], key=lambda arm: int(arm["batches"]))
        raise invalid_field(
            "arms",
            f"arm {widest['name']!r} needs {needed} workers at once; live workers that can run all "
            f"arms: {live}",
        )
