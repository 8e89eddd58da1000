"""Every process, SIGKILLed before and after every step it takes in the ledger: nothing is lost."""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batchpool.ledger import keys
from batchpool.ledger.failpoints import MARKER, STEPS, TESTING, VARIABLE
from tests.support.reduced_jobs import REDUCE, reduced_of
from tests.support.stack_processes import TERMINAL, StackProcesses
from tests.support.waiting import wait_until

ITEMS = 40


@dataclass(frozen=True)
class Case:
    """Which process dies at which point, and what must go on around it to get there."""

    member: str
    step: str

    @property
    def points(self) -> tuple[str, ...]:
        return (
            ("after pop",) if self.step == "pop" else (f"before {self.step}", f"after {self.step}")
        )


CASES = [
    *(Case("batchpool.worker", step) for step in ("pop", "claim", "flush", "renew", "finish")),
    *(Case("batchpool.reconciler", step) for step in ("expire", "requeue", "overdue", "move")),
]
WALK = [(case, point) for case in CASES for point in case.points]
SAMPLE = {
    ("batchpool.worker", "before flush"),
    ("batchpool.worker", "after finish"),
    ("batchpool.reconciler", "before requeue"),
}
"""The others are walked by the full run, and wherever the ledger or a worker changes."""
OF_THE_API = {"upload", "create", "cancel", "delete"}
"""Walked by the API's own tests: there a client is waiting for the answer."""


OF_RESERVATIONS = {"take", "leave"}
"""Walked by theirs: there a comparison waits for a worker."""
OF_COMPARISONS = {"compare_create", "compare_step", "compare_cancel", "compare_delete"}
"""Walked by theirs."""


def test_every_step_is_walked_by_one_of_the_walks() -> None:
    assert {(case.member, point) for case, point in WALK} >= SAMPLE
    elsewhere = OF_THE_API | OF_RESERVATIONS | OF_COMPARISONS
    assert {case.step for case in CASES} | elsewhere == set(STEPS)


@pytest.mark.parametrize(
    ("case", "point"),
    [
        pytest.param(
            case,
            point,
            id=f"{case.member}-{point}",
            marks=[] if (case.member, point) in SAMPLE else pytest.mark.full,
        )
        for case, point in WALK
    ],
)
def test_a_kill_at_any_step_loses_and_doubles_nothing(
    case: Case, point: str, crew: StackProcesses, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    armed = {VARIABLE: point, MARKER: str(mark), TESTING: "1", "BATCHPOOL_CLASS_GONE_S": "1"}
    # Only one is armed: what it leaves behind must be taken up by ordinary ones.
    if case.member == "batchpool.worker":
        crew.start("batchpool.reconciler")
        if case.step == "claim":
            # Else a worker claims in the step in which it pops, and there is nothing before it.
            armed["BATCHPOOL_RELOAD"] = "on"
        crew.start_workers(1, **armed)
        job_id = post(crew, tmp_path, timeout_s=2 if case.step == "finish" else 60)
    else:
        (worker,) = crew.start_workers(1)
        crew.start("batchpool.reconciler", **armed)
        job_id = post(crew, tmp_path, timeout_s=2 if case.step == "overdue" else 60)
        crew.wait_running(job_id)
        set_up(crew, case, worker, job_id)
    wait_until(mark.exists, 30, f"the kill at {point!r}")
    killed = int(mark.read_text())
    dead = [member for member in crew.members if member.pid == killed]
    for member in dead:
        assert member.wait(5) == -signal.SIGKILL
        crew.members.remove(member)
    crew.start("batchpool.reconciler")
    crew.start_workers(1)
    job = crew.finish(job_id, 40)
    check(crew, job, tmp_path, whole=case.step not in ("finish", "overdue"))


def post(crew: StackProcesses, tmp_path: Path, timeout_s: float) -> str:
    how: dict[str, Any] = {"backend": "thread-pool", "concurrency": 2, "batches": 2}
    how["reduce"] = REDUCE
    seconds = 1.0 if timeout_s < 60 else 0.1
    job: dict[str, Any] = crew.stage.post(
        task="sleep", params={"seconds": seconds}, count=ITEMS, timeout_s=timeout_s, **how
    )
    return str(job["id"])


def set_up(crew: StackProcesses, case: Case, worker: Any, job_id: str) -> None:
    """Bring about what the reconciler is to find: an owner that is gone."""
    if case.step == "move":
        # Its queue becomes one that nobody reads, so that the batch must move to the live class.
        for queue in crew.redis.scan_iter("rq:queue:*"):
            crew.redis.delete(queue)
        for batch in waits(crew):
            crew.redis.hset(keys.batch_key(job_id, batch), "queue", "nobody")
        return
    worker.kill()
    worker.wait(5)
    crew.members.remove(worker)


def waits(crew: StackProcesses) -> list[int]:
    members = crew.redis.zrange(keys.WAITING, 0, -1)
    return [keys.split_member(member)[1] for member in members]


def check(crew: StackProcesses, job: dict[str, Any], tmp_path: Path, whole: bool) -> None:
    assert job["state"] in TERMINAL
    records = crew.records(job["id"])
    assert [record["index"] for record in records] == list(range(ITEMS))
    progress = job["progress"]
    assert sum(progress[state] for state in progress if state != "total") == ITEMS
    values = {each["index"]: each["value"] for each in records if each["state"] == "succeeded"}
    assert job["sum"] == (sum(values.values()) if values else None)
    assert len(values) < 2 or job["reduced"] == reduced_of(values)
    if whole:
        assert job["state"] == "succeeded" and job["sum"] == sum(range(ITEMS))
    else:
        assert job["state"] == "failed" and job["error"]["type"] == "timeout"


def test_a_kill_point_outside_a_test_is_refused(crew: StackProcesses) -> None:
    for module in ("batchpool.worker", "batchpool.reconciler", "batchpool.api"):
        member = crew.start(module, **{VARIABLE: "after claim"})
        assert member.wait(60) == 2
        crew.members.remove(member)
