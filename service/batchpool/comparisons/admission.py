"""Admission of a comparison: its checks, its class of workers, its complete spec; pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batchpool.backends.facts import BACKENDS, BackendFacts
from batchpool.comparisons.analysis.significance import rounds_for_interval, rounds_needed
from batchpool.comparisons.arms import find_reference, name_arms, read_arms
from batchpool.comparisons.conditions import CONFIDENCE, read_conditions
from batchpool.comparisons.planning import ARM_FIELDS
from batchpool.jobs.admission import Limits, capable_classes, check_request, complete, shown_count
from batchpool.jobs.fleet import Fleet
from batchpool.jobs.items_digest import summarize_items
from batchpool.jobs.planning import JobPlan, live_by_class
from batchpool.ledger.values.announcements import WorkerCapabilities
from batchpool.ledger.values.comparison_entries import ArmSpec, ComparisonSpec
from batchpool.ledger.values.job_spec import ItemsSummary
from batchpool.schemas.comparison_requests import (
    MOST_ROUNDS,
    MOST_RUNS,
    ArmRequest,
    ComparisonRequest,
    job_of,
)
from batchpool.schemas.job_requests import JobRequest
from batchpool.schemas.reading import nested
from batchpool.schemas.refusals import FieldError, InvalidFields, invalid_field

MOST_ITEMS = 100_000
"""Of a comparison: each run reads the records of all of them in the pause after it."""


@dataclass(frozen=True)
class AdmittedComparison:
    """A comparison that can be run: its spec, and the class of workers that it needs."""

    spec: ComparisonSpec
    class_id: str


@dataclass(frozen=True)
class _CheckedArm:
    """An arm whose options fit its backend, with the classes of workers that can run it.

    Args:
        field: of the body, to blame for the arm's errors.
        classes: best first.
    """

    field: str
    name: str | None
    job: JobRequest
    backend: BackendFacts
    classes: Sequence[WorkerCapabilities]


def admit_comparison(
    request: ComparisonRequest, fleet: Fleet, most_batches: int, choose_seed: Callable[[], int]
) -> AdmittedComparison:
    """Check all arms, choose one class of workers for them, and complete each arm for it.

    Raises:
        InvalidFields: a field is out of bounds, or no known worker can run an arm.
        NoWorkerSeen: no worker has ever announced itself.
    """
    _check_size(request)
    requested = read_arms(request)
    _check_rounds(request, len(requested))
    limits = Limits(MOST_ITEMS, most_batches)
    arms = [_check_arm(request, field, arm, fleet, limits) for field, arm in requested]
    chosen = _class_for_all(arms, fleet)
    items = summarize_items(range(request.total) if request.items is None else request.items)
    jobs = [_complete_arm(arm, chosen, fleet, items) for arm in arms]
    named = name_arms([_arm_spec(job, arm.name) for arm, job in zip(arms, jobs, strict=True)])
    only = Fleet([chosen], fleet.workers)
    baseline = _check_arm(request, "task", _baseline(request, chosen), only, limits)
    spec = ComparisonSpec(
        task=request.task,
        params=jobs[0].spec.params,
        count=request.total,
        items=items,
        arms=tuple(named),
        baseline=_arm_spec(_complete_arm(baseline, chosen, fleet, items)),
        reference=find_reference(request.reference, named),
        rounds=request.rounds,
        warmup=request.warmup,
        seed=choose_seed() if request.seed is None else request.seed,
        min_effect=request.min_effect,
        timeout_s=request.timeout_s,
        labels=request.labels,
        fail_unless=tuple(request.fail_unless),
    )
    read_conditions(spec.fail_unless, [arm.name for arm in named])
    _check_workers(spec, chosen.id, fleet)
    return AdmittedComparison(spec, chosen.id)


def _check_size(request: ComparisonRequest) -> None:
    if request.total > MOST_ITEMS:
        source = "items" if request.items is not None else "count"
        got = shown_count(request.total)
        raise invalid_field(
            source, f"must be at most {MOST_ITEMS} items in a comparison, got {got}"
        )


def _check_rounds(request: ComparisonRequest, arms: int) -> None:
    needed = rounds_needed(arms)
    if request.fail_unless and request.rounds < (least := rounds_for_interval(CONFIDENCE)):
        raise invalid_field(
            "rounds",
            f"must be {least} to {MOST_ROUNDS} with fail_unless, got {request.rounds}: with fewer "
            f"there is no {CONFIDENCE:.0%} interval",
        )
    runs = (arms + 1) * request.rounds
    if request.rounds < needed:
        raise invalid_field(
            "rounds",
            f"must be {needed} to {MOST_ROUNDS} with {arms} arms, got {request.rounds}: with fewer "
            f"no verdict is possible (the least p after Holm's adjustment is above 0.05)",
        )
    if runs > MOST_RUNS:
        raise invalid_field(
            "rounds",
            f"({arms} arms + 1 control) × {request.rounds} rounds are {runs} runs; "
            f"at most {MOST_RUNS} are possible",
        )


def _check_arm(
    request: ComparisonRequest, field: str, arm: ArmRequest, fleet: Fleet, limits: Limits
) -> _CheckedArm:
    facts = BACKENDS.get(arm.backend)
    if facts is not None and facts.slot_kind == "chosen":
        raise invalid_field(
            f"{field}.backend",
            f"{arm.backend} chooses how it runs, so it cannot be an arm",
        )
    job = job_of(request, arm)
    try:
        checked = check_request(job, limits, fleet)
        classes = capable_classes(job, checked, fleet)
    except InvalidFields as refusal:
        raise InvalidFields(_of_arm(field, refusal.errors)) from None
    return _CheckedArm(field, arm.name, job, checked, classes)


def _of_arm(field: str, errors: Sequence[FieldError]) -> list[FieldError]:
    """The errors, with the arm's field before those that the arm itself decides."""
    found = []
    for error in errors:
        is_own = error.field.partition(".")[0] in ARM_FIELDS
        found += nested(field, [error]) if is_own else [error]
    return found


def _class_for_all(arms: Sequence[_CheckedArm], fleet: Fleet) -> WorkerCapabilities:
    for candidate in arms[0].classes:
        if all(candidate in arm.classes for arm in arms):
            return candidate
    seen = ", ".join(sorted(f"Python {each.python}" for each in fleet.classes))
    raise invalid_field(
        "arms",
        f"each arm can be run, but no single class of workers can run all; seen: {seen}",
    )


def _baseline(request: ComparisonRequest, chosen: WorkerCapabilities) -> ArmRequest:
    """The arm that runs the items one after the other."""
    if chosen.tasks[request.task].has_sync:
        return ArmRequest(name=None, backend="sequential")
    return ArmRequest(name=None, backend="asyncio", concurrency=1)


def _complete_arm(
    arm: _CheckedArm, chosen: WorkerCapabilities, fleet: Fleet, items: ItemsSummary
) -> JobPlan:
    try:
        return complete(arm.job, arm.backend, chosen, fleet, items)
    except InvalidFields as refusal:
        raise InvalidFields(_of_arm(arm.field, refusal.errors)) from None


def _arm_spec(plan: JobPlan, name: str | None = None) -> ArmSpec:
    options = {field: getattr(plan.spec, field) for field in ARM_FIELDS}
    return ArmSpec(**options, name=name or "", class_id=plan.class_id)


def _check_workers(spec: ComparisonSpec, class_id: str, fleet: Fleet) -> None:
    """Refuse a comparison that would wait for ever: it needs more workers than are live."""
    live = len(live_by_class(fleet.workers).get(class_id, ()))
    if spec.workers_needed > live:
        widest = max(spec.arms, key=lambda arm: arm.batches)
        raise invalid_field(
            "arms",
            f"arm {widest.name!r} needs {spec.workers_needed} workers at once; live workers that "
            f"can run all arms: {live}",
        )
