"""The lead over comparisons, and the fence: a former leader, or a late step, writes nothing."""

import pytest
from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.comparisons import Change, Comparisons, NewComparison
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.values.comparison_entries import ComparisonEntry, ExecutionNotes, RunStart
from batchpool.ledger.values.job_entries import NewJob
from batchpool.model import TaskError
from tests.support.comparison_specs import comparison_spec, sample
from tests.support.job_specs import job_spec
from tests.support.waiting import wait_until

ID = "0123456789abcdef01234567"
LONG_S = 60.0


@pytest.fixture
def comparisons(redis: Redis) -> Comparisons:
    """One comparison that waits."""
    found = Comparisons(redis)
    found.create(NewComparison(ID, comparison_spec(), "c311", ["a", {"b": 1}], 30), 10, None)
    return found


def entry(comparisons: Comparisons) -> ComparisonEntry:
    seen = comparisons.load(ID)
    assert seen
    return seen.entry


def test_one_process_has_the_lead_until_its_lease_is_over(
    redis: Redis, comparisons: Comparisons
) -> None:
    first = comparisons.lead("", "one", LONG_S)
    assert first and comparisons.lead("", "two", LONG_S) == ""
    assert comparisons.lead(first, "one", 0.05) == first
    wait_until(lambda: not redis.exists(keys.LEADER), 5, "the lease is over")
    second = comparisons.lead("", "two", LONG_S)
    assert int(second.split(":")[0]) > int(first.split(":")[0])
    assert comparisons.lead(first, "one", LONG_S) == ""


def test_only_the_leader_can_give_up_the_lead_and_it_is_free_at_once(
    comparisons: Comparisons,
) -> None:
    first = comparisons.lead("", "one", LONG_S)
    comparisons.give_up_lead("0:nobody")
    assert comparisons.lead("", "two", LONG_S) == ""
    comparisons.give_up_lead(first)
    assert comparisons.lead("", "two", LONG_S)


def test_a_step_of_a_former_leader_changes_nothing(redis: Redis, comparisons: Comparisons) -> None:
    old = comparisons.lead("", "one", LONG_S)
    comparisons.give_up_lead(old)
    new = comparisons.lead("", "two", LONG_S)
    before = redis.hgetall(keys.comparison_key(ID))
    late = Change(position=5, sample=sample(), event=("run", 0))
    assert comparisons.step(entry(comparisons), old, late) == "stale"
    assert comparisons.step(entry(comparisons), "", late) == "stale"
    assert redis.hgetall(keys.comparison_key(ID)) == before
    assert entry(comparisons).samples == ()
    assert comparisons.step(entry(comparisons), new, late) == "ok"
    assert entry(comparisons).state == "running"


def test_a_step_from_an_earlier_place_changes_nothing(
    comparisons: Comparisons,
) -> None:
    token = comparisons.lead("", "one", LONG_S)
    seen = entry(comparisons)
    notes = ExecutionNotes(before=RunStart({"box": 7}, {}))
    decided = Change(job_id="f" * 24, notes=notes)
    assert comparisons.step(seen, token, decided) == "ok"
    again = Change(position=1, drop=("job",), sample=sample())
    assert comparisons.step(seen, token, again) == "moved"
    assert comparisons.step(entry(comparisons), token, again) == "ok"
    # An answer that was lost is not written twice.
    assert comparisons.step(seen, token, again) == "moved"
    found = entry(comparisons)
    assert (found.position, found.job_id, found.samples) == (1, None, (sample(),))
    assert found.notes == notes


def test_an_end_is_final_and_gives_every_key_its_time(
    redis: Redis, comparisons: Comparisons
) -> None:
    token = comparisons.lead("", "one", LONG_S)
    comparisons.step(entry(comparisons), token, Change(sample=sample(), event=("run", 0)))
    redis.hset(keys.slots_key(ID), "0", "{}")
    error = TaskError(type="x", message="y", traceback=None)
    end = Change(event=("end", ""), end="failed", error=error, analysis={"arms": []})
    assert comparisons.step(entry(comparisons), token, end) == "ok"
    found = entry(comparisons)
    assert (found.state, found.error, found.analysis) == ("failed", error, {"arms": []})
    late = Change(position=9, end="succeeded")
    assert comparisons.step(found, token, late) == "ended"
    assert entry(comparisons).state == "failed"
    assert not redis.exists(keys.slots_key(ID), keys.COMPARING)
    ours = list(redis.scan_iter(f"{keys.comparison_key(ID)}*"))
    assert len(ours) == 6 and all(0 < redis.pttl(key) <= 30_000 for key in ours)
    assert comparisons.cancel(ID) == "terminal"
    assert comparisons.delete(ID) == "deleted"
    assert list(redis.scan_iter(f"*{ID}*")) == []


def test_a_job_of_a_former_leader_is_not_made(redis: Redis, comparisons: Comparisons) -> None:
    token = comparisons.lead("", "one", LONG_S)
    jobs = Jobs(redis)

    def new(job_id: str, leader: str) -> NewJob:
        queues = ["c~x~0", "c~x~1"]
        ranges = [(0, 1), (1, 1)]
        spec = job_spec(count=2)
        return NewJob(job_id, spec, ranges, None, "c", 9, 9, 9, queues=queues, leader=leader)

    assert jobs.create(new("a" * 24, "0:late")).submitted_ms is None
    assert jobs.load("a" * 24) is None and not redis.exists(keys.WAITING, keys.JOBS)
    assert jobs.create(new("b" * 24, token)).submitted_ms
    made = jobs.load("b" * 24)
    assert made and [batch.queue for batch in made.batches] == ["c~x~0", "c~x~1"]
    # A second driver that decides the same makes nothing either.
    assert jobs.create(new("b" * 24, token)).submitted_ms is None
    assert redis.zcard(keys.WAITING) == 2
