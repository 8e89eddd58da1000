"""Submit several jobs in one request: those that can be admitted are stored in one step."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from batchpool.api.context import ApiContext
from batchpool.api.problems import Conflict, Problem, problem_of
from batchpool.api.use_cases.idempotency import idempotency_key
from batchpool.api.use_cases.submit_job import create_all, job_limits, new_job_id, plan_to_new
from batchpool.jobs.admission import admit
from batchpool.jobs.planning import JobPlan
from batchpool.ledger.job_creation import Bulk
from batchpool.ledger.values.job_entries import JobEntry, new_entry
from batchpool.schemas.job_requests import JobRequest
from batchpool.schemas.reading import read_model
from batchpool.schemas.refusals import Refusal

_INDEX_DIGITS = 3
Answer = JobEntry | str | Problem
"""A job; the id of one that was deleted since a request with the same key; or why there is none."""


class _Admitted(NamedTuple):
    request: JobRequest
    plan: JobPlan


def submit_many(context: ApiContext, bodies: Sequence[Any]) -> list[Answer]:
    """Store the jobs that can be admitted; the answer to each body, in order.

    Raises:
        KeyReused: the key was used with another body.
        Problem: 429 or 507, all of them together are too much; nothing was stored.
    """
    admission = _Admission(context)
    admitted = [admission.admit(body) for body in bodies]
    name = new_job_id()
    new = {
        index: plan_to_new(context.settings, each.plan, each.request.items, _id_of(name, index))
        for index, each in enumerate(admitted)
        if isinstance(each, _Admitted)
    }
    answers: dict[int, Answer] = {
        index: each for index, each in enumerate(admitted) if isinstance(each, Problem)
    }
    if new:
        mark = f"{sum(1 << index for index in new):x}"
        # The bodies as they were sent: what is refused now may be admitted in a replay.
        key = idempotency_key(context, {"jobs": bodies})
        created = create_all(context, Bulk(name, list(new.values()), mark), key)
        if created.submitted_ms is None:
            answers |= _stored_before(context, created.name, int(created.note, 16))
        else:
            ms = created.submitted_ms
            answers |= {index: new_entry(each, ms) for index, each in new.items()}
    return [answers.get(index) or _refused_before() for index in range(len(bodies))]


class _Admission:
    """Admits jobs by the cached fleet; reads it anew, once, before it refuses one."""

    def __init__(self, context: ApiContext) -> None:
        self._fleets = context.fleets
        self._limits = job_limits(context.settings)
        self._fleet = context.fleets.cached()
        self._is_fresh = False

    def admit(self, body: Any) -> _Admitted | Problem:
        try:
            request = read_model(JobRequest, body)
            try:
                plan = admit(request, self._fleet, self._limits)
            except Refusal:
                if self._is_fresh:
                    raise
                self._fleet, self._is_fresh = self._fleets.fresh(), True
                plan = admit(request, self._fleet, self._limits)
        except Refusal as refusal:
            return problem_of(refusal)
        return _Admitted(request, plan)


def _id_of(name: str, index: int) -> str:
    """The id of a job of a bulk: its name, but for the last digits."""
    return f"{name[:-_INDEX_DIGITS]}{index:0{_INDEX_DIGITS}x}"


def _stored_before(context: ApiContext, name: str, mark: int) -> dict[int, Answer]:
    """What a request with the same key has stored: the jobs whose bits are set in its mark."""
    ids = {n: _id_of(name, n) for n in range(mark.bit_length()) if mark >> n & 1}
    jobs = context.jobs.load_many(list(ids.values()))
    return {n: job or ids[n] for n, job in zip(ids, jobs, strict=True)}


def _refused_before() -> Problem:
    return Conflict(
        "this job was refused when the Idempotency-Key was used first; send it with a new key"
    )
