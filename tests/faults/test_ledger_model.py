"""Any order of submit, claim, flush, crash, expiry, thaw and cancel keeps the ledger true.

The model is small: which items are recorded, who owns each batch, and which jobs have ended. The
ledger is the real one, on a real Valkey.
"""

import json
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from batchpool.comparisons.readability import quarantine_of
from batchpool.exact_sum import ExactSum
from batchpool.ledger import keys
from batchpool.ledger.blocks.columns import Columns
from batchpool.ledger.blocks.item_upload import ItemUpload
from batchpool.ledger.connection import connect
from batchpool.ledger.job_creation import Bulk, CapacityLimits, QueueFull, UploadLost
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.ownership import (
    EMPTY_BLOCK,
    NO_SECOND_TRY,
    OTHER_VERSION,
    Claim,
    Ending,
    Ownership,
    make_block,
    new_nonce,
)
from batchpool.ledger.records import Records
from batchpool.ledger.recovery import Recovery
from batchpool.ledger.values.job_entries import JobEntry, NewJob, Tally
from batchpool.model import TERMINAL_STATES, ExecutionSite, Outcome
from batchpool.reducers.reducer import Reducer
from batchpool.reducers.reduction import BatchReductions, Reduction, merge
from tests.integration.conftest import start_valkey, wait_until_answering
from tests.support.job_specs import job_spec
from tests.support.sampling import full

OWNER = {"worker": "w", "host": "h", "pid": 2, "ppid": 1, "python": "3.11", "gil": True}
LANE = ExecutionSite(2, 1, 3, "MainThread", 0)
VERSIONS = [f'{{"echo":"{digit * 16}"}}' for digit in "12"]
JUNK_MEMBERS = [b"\xff\xfe", b"bp:job:j0", b"bp:job:j0|", b"bp:job:j0|-1", b"bp:job:j0|9999999999"]
REDUCE = {
    "mean": Reducer("mean"),
    "top": Reducer("top", k=3),
    "max": Reducer("max"),
    "values": Reducer("count_values"),
}
REDUCER_BYTES = 2 * 1024 + 3 * 64 + 64 * 1024
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=3)


@dataclass
class Holder:
    """A claim as its owner knows it, and how many blocks it has handed in.

    `reductions` continue from the claim, as the runner's do.
    """

    claim: Claim
    values: dict[int, Any]
    codes: str
    blocks: int = 0
    has_closed: bool = False

    def __post_init__(self) -> None:
        self.reductions = BatchReductions(self.claim.run.reduce, self.claim.reduced)


@dataclass
class Modelled:
    """What must be true of one job."""

    recorded: dict[int, Any] = field(default_factory=dict)
    owners: dict[int, Holder] = field(default_factory=dict)
    ended: dict[int, str] = field(default_factory=dict)
    state: str = "queued"
    cancelled: bool = False
    codes: str = ""
    """The version of its task to which it is bound, as its owners had it."""
    tried_twice: set[int] = field(default_factory=set)
    in_flight: dict[int, frozenset[int]] = field(default_factory=dict)
    """What the owner of each batch ran when it last renewed its lease."""
    claims: int = 0
    """Those under which an item may have run."""


class LedgerMachine(RuleBasedStateMachine):
    """The rules are what the processes of a stack do to the ledger."""

    redis: Any = None
    jobs_made = Bundle("jobs_made")
    holders = Bundle("holders")

    @initialize()
    def begin(self) -> None:
        self.redis.flushall()
        self.jobs, self.owner = Jobs(self.redis), Ownership(self.redis)
        self.recovery, self.records = Recovery(self.redis), Records(self.redis)
        self.models: dict[str, Modelled] = {}
        self.happened = Counter(refused_writes=0, lost_workers=0)

    @rule(target=jobs_made, sizes=SIZES)
    def submit(self, sizes: list[int]) -> str:
        job_id = f"j{len(self.models)}"
        firsts = [sum(sizes[:at]) for at in range(len(sizes))]
        ranges = list(zip(firsts, sizes, strict=True))
        new = NewJob(job_id, job_spec(reduce=REDUCE), ranges, None, "c", 3600, 3600, 3600)
        self.jobs.create(new)
        self.models[job_id] = Modelled()
        return job_id

    @rule(target=jobs_made, sizes=SIZES, has_room=st.booleans())
    def submit_many(self, sizes: list[int], has_room: bool) -> Any:
        """Submit a job for each size in one step, all or none."""
        ids = [f"j{len(self.models) + at}" for at in range(len(sizes))]
        new = [
            NewJob(job_id, job_spec(reduce=REDUCE), [(0, size)], None, "c", 3600, 3600, 3600)
            for job_id, size in zip(ids, sizes, strict=True)
        ]
        if not has_room:
            with pytest.raises(QueueFull):
                self.jobs.create(Bulk("bulk", new), room=CapacityLimits(sum(sizes) - 1))
            assert self.jobs.load_many(ids) == [None] * len(ids)
            return multiple()
        assert self.jobs.create(Bulk("bulk", new)).submitted_ms
        self.models |= {job_id: Modelled() for job_id in ids}
        return multiple(*ids)

    @rule(target=jobs_made, parts=SIZES, lost=st.booleans(), dry_run=st.booleans())
    def submit_uploaded(self, parts: list[int], lost: bool, dry_run: bool) -> Any:
        """Submit items that have come in parts, unless they are gone by then."""
        job_id, given = f"j{len(self.models)}", list(range(100, 100 + sum(parts)))
        upload = ItemUpload(self.redis, job_id, CapacityLimits(1000))
        for at, size in enumerate(parts):
            first = sum(parts[:at])
            upload.add(json.dumps(given[first : first + size])[1:-1], size)
            uploaded = upload.finish()
        assert self.jobs.load(job_id) is None
        ranges = [(0, len(given))]
        new = NewJob(job_id, job_spec(reduce=REDUCE), ranges, uploaded, "c", 3600, 3600, 3600)
        if lost:
            self.redis.delete(keys.UPLOAD + job_id)
            with pytest.raises(UploadLost):
                self.jobs.create(new, dry_run=dry_run)
        elif dry_run:
            assert self.jobs.create(new, dry_run=True).submitted_ms
            upload.discard()
        else:
            self.jobs.create(new)
            assert list(self.jobs.items(job_id, 0, len(given))) == given
            self.models[job_id] = Modelled()
        assert not self.redis.exists(keys.UPLOAD + job_id)
        return job_id if job_id in self.models else multiple()

    @rule(
        target=holders,
        job_id=jobs_made,
        batch=st.integers(0, 2),
        codes=st.sampled_from(VERSIONS),
        lost=st.integers(0, 2),
    )
    def claim(self, job_id: str, batch: int, codes: str, lost: int) -> Any:
        """Claim a batch; so many answers are lost on the way."""
        model, nonce = self.models[job_id], new_nonce()
        answers = [
            self.owner.claim(job_id, batch, OWNER, codes=codes, nonce=nonce)
            for _ in range(lost + 1)
        ]
        found = answers[-1]
        assert len({a.token if isinstance(a, Claim) else a for a in answers}) == 1
        job = self.load(job_id)
        if batch >= len(job.batches):
            assert found == "missing"
            return multiple()
        if batch in model.ended or batch in model.owners:
            assert isinstance(found, str)
            return multiple()
        if model.codes not in ("", codes):
            assert found == OTHER_VERSION
            return multiple()
        assert isinstance(found, Claim)
        self.check_claim(model, found)
        model.owners[batch] = holder = Holder(found, dict(model.recorded), codes)
        model.codes, model.claims = codes, model.claims + 1
        return holder

    @rule(holder=holders, data=st.data(), again=st.booleans())
    def flush(self, holder: Holder, data: st.DataObject, again: bool) -> None:
        claim, model = holder.claim, self.models[holder.claim.job_id]
        own = range(claim.first, claim.first + claim.count)
        left = sorted(set(own) - holder.values.keys())
        if not left:
            return
        part = data.draw(st.lists(st.sampled_from(left), min_size=1, unique=True))
        values = {at: data.draw(st.integers(-9, 9) | st.floats(-9, 9)) for at in part}
        holder.blocks += 1
        made = [Outcome(at, "succeeded", v, None, LANE, 1, 1, 1) for at, v in values.items()]
        block = make_block(claim, holder.blocks, made, 0)
        block = replace(block, reduced=holder.reductions.add(*Columns.of(made).succeeded()))
        mine = {at: v for at, v in (holder.values | values).items() if at in own}
        tally = Tally({"succeeded": len(mine)}, sum=exact(mine.values()))
        answer = self.owner.flush(claim, block, tally)
        if model.owners.get(claim.batch) is holder:
            assert answer == "ok"
            holder.values |= values
            model.recorded |= values
            if again:
                assert self.owner.flush(claim, block, tally) == "again"
        else:
            assert answer == "stale"
            self.happened["refused_writes"] += 1

    @rule(holder=holders)
    def close(self, holder: Holder) -> None:
        claim, model = holder.claim, self.models[holder.claim.job_id]
        own = range(claim.first, claim.first + claim.count)
        mine = {at: v for at, v in holder.values.items() if at in own}
        tally = Tally({"succeeded": len(mine)}, sum=exact(mine.values()))
        answer = self.owner.flush(claim, EMPTY_BLOCK, tally, Ending("succeeded", {}))
        if model.owners.get(claim.batch) is not holder:
            assert answer in ("stale", "again")
            self.happened["refused_writes"] += answer == "stale"
        elif len(mine) < claim.count:
            assert answer == "short"
        else:
            assert answer == "ok"
            holder.has_closed = True
            self.end(model, claim.batch, "succeeded")

    @rule(holder=holders, said=st.booleans())
    def give_back(self, holder: Holder, said: bool) -> None:
        model = self.models[holder.claim.job_id]
        owned = model.owners.get(holder.claim.batch) is holder
        untouched = said and holder.blocks == 0
        assert self.owner.release(holder.claim, untouched) == owned
        if owned and untouched:
            model.claims -= 1
            model.codes = model.codes if model.claims else ""
        # Who has ended the batch itself is not refused: it has not heard of it yet.
        self.happened["refused_writes"] += not (owned or holder.has_closed)
        if owned:
            del model.owners[holder.claim.batch]
            model.in_flight.pop(holder.claim.batch, None)
            if model.cancelled:
                model.ended[holder.claim.batch] = "cancelled"

    @rule(target=holders, holder=consumes(holders))
    def crash_of_the_runner(self, holder: Holder) -> Any:
        claim, model = holder.claim, self.models[holder.claim.job_id]
        owned = model.owners.get(claim.batch) is holder
        args = (claim.job_id, claim.batch, OWNER, claim, holder.codes)
        found = self.owner.claim(*args)
        if model.codes not in ("", holder.codes):
            assert not owned and not isinstance(found, Claim)
            return multiple()
        if not owned and batch_is_free(model, claim.batch) and isinstance(found, Claim):
            owned = True  # it was queued again meanwhile, so this is an ordinary claim
        if owned and model.cancelled:
            assert found == "ended"
            self.end(model, claim.batch, "cancelled")
            return multiple()
        assert isinstance(found, Claim) == owned
        if not isinstance(found, Claim):
            return multiple()
        self.check_claim(model, found)
        model.owners[claim.batch] = successor = Holder(found, dict(model.recorded), holder.codes)
        model.codes, model.claims = holder.codes, model.claims + 1
        return multiple(successor, holder)

    @rule(holder=consumes(holders), data=st.data())
    def write_what_a_killed_runner_left(self, holder: Holder, data: st.DataObject) -> None:
        """Its worker does, before it ends the batch, of a cancelled job too."""
        claim, model = holder.claim, self.models[holder.claim.job_id]
        if model.owners.get(claim.batch) is not holder:
            return
        args = (claim.job_id, claim.batch, OWNER, claim, holder.codes)
        found = self.owner.claim(*args, was_stopped=True)
        assert isinstance(found, Claim)
        self.check_claim(model, found)
        model.owners[claim.batch] = successor = Holder(found, dict(model.recorded), holder.codes)
        model.claims += 1
        # What the runner had sent arrives only now.
        assert self.owner.flush(claim, EMPTY_BLOCK, Tally({"succeeded": 99}, sum="99")) == "stale"
        self.happened["refused_writes"] += 1
        self.flush(successor, data, again=True)
        assert self.owner.recorded(found) == model.recorded.keys() & set(
            range(found.first, found.first + found.count)
        )
        assert self.owner.end(found, Ending("cancelled", {}, "cancelled"))
        self.end(model, claim.batch, "cancelled")

    @rule(target=holders, holder=consumes(holders))
    def second_try(self, holder: Holder) -> Any:
        claim, model = holder.claim, self.models[holder.claim.job_id]
        owned = model.owners.get(claim.batch) is holder
        allowed = owned and holder.blocks == 0 and claim.batch not in model.tried_twice
        args = (claim.job_id, claim.batch, OWNER, claim, holder.codes)
        free = batch_is_free(model, claim.batch)
        found = self.owner.claim(*args, second_try="no room")
        if owned or free:
            if not allowed:
                assert found == NO_SECOND_TRY
                return multiple(holder)
            if model.codes not in ("", holder.codes):
                assert found == OTHER_VERSION
                return multiple(holder)
            if model.cancelled:
                assert found == "ended"
                self.end(model, claim.batch, "cancelled")
                return multiple()
        assert isinstance(found, Claim) == allowed
        if not isinstance(found, Claim):
            return multiple()
        self.check_claim(model, found)
        model.tried_twice.add(claim.batch)
        model.owners[claim.batch] = successor = Holder(found, dict(model.recorded), holder.codes)
        model.codes, model.claims = holder.codes, model.claims + 1
        return multiple(successor, holder)

    @rule(holder=holders)
    def lose_the_worker(self, holder: Holder) -> None:
        claim, model = holder.claim, self.models[holder.claim.job_id]
        if model.owners.get(claim.batch) is not holder:
            return
        member = f"{keys.job_key(claim.job_id)}|{claim.batch}"
        self.redis.zadd(keys.LEASES, {member: 1})
        self.recovery.expire_leases()
        self.recovery.expire_leases()  # a second reconciler at the same time
        self.happened["lost_workers"] += 1
        del model.owners[claim.batch]
        if model.cancelled:
            model.ended[claim.batch] = "cancelled"
        elif self.load(claim.job_id).batches[claim.batch].lost >= 20:
            model.ended[claim.batch] = "failed"

    @rule(job_id=jobs_made)
    def cancel(self, job_id: str) -> None:
        model, job = self.models[job_id], self.load(job_id)
        answer = self.jobs.cancel(job_id)
        assert answer == ("terminal" if job.state in TERMINAL_STATES else "cancelled")
        if answer == "cancelled":
            model.cancelled = True
            for batch in range(len(job.batches)):
                if batch_is_free(model, batch):
                    model.ended[batch] = "cancelled"

    @rule(holder=holders, running=st.none() | st.frozensets(st.integers(0, 9), max_size=3))
    def renew(self, holder: Holder, running: frozenset[int] | None) -> None:
        claim, model = holder.claim, self.models[holder.claim.job_id]
        renewal = self.owner.renew(claim, "" if running is None else json.dumps(sorted(running)))
        if renewal.is_owner and running is not None:
            model.in_flight[claim.batch] = running
        self.happened["refused_writes"] += not (renewal.is_owner or renewal.closed)
        if not renewal.cancel:
            return
        assert self.owner.end(claim, Ending("cancelled", {}, "cancelled"))
        self.end(model, claim.batch, "cancelled")

    @rule(job_id=jobs_made, batch=st.integers(0, 2))
    def park_and_move(self, job_id: str, batch: int) -> None:
        self.recovery.park(job_id, batch, "nobody")
        self.recovery.move(job_id, batch, "c")
        code = self.recovery.bound_to(job_id)
        assert (code or "") in self.models[job_id].codes
        assert bool(code) == bool(self.models[job_id].codes)

    @rule(
        job_id=jobs_made,
        batch=st.integers(0, 2),
        index=st.sampled_from([keys.WAITING, keys.PARKED, keys.LEASES]),
        junk=st.sampled_from(JUNK_MEMBERS),
    )
    def corrupt_a_member(self, job_id: str, batch: int, index: str, junk: bytes) -> None:
        member = f"{keys.job_key(job_id)}|{batch}"
        score = self.redis.zscore(index, member)
        if score is not None:
            # The bytes of a member have changed: it is there, but as another.
            self.redis.zrem(index, member)
        self.redis.zadd(index, {junk: 1})
        self.recovery.expire_leases()
        self.recovery.waiting()
        self.recovery.parked()
        quarantine_of(self.redis, 8.0).run({})
        assert self.redis.zscore(index, junk) is None
        assert (self.redis.zscore(index, member) is None) == (score is None)

    @precondition(lambda self: self.models)
    @invariant()
    def the_counts_are_what_there_is(self) -> None:
        found = Counter({k.decode(): int(v) for k, v in self.redis.hgetall(keys.COUNTS).items()})
        expected = self.happened.copy()
        for job_id, model in self.models.items():
            job = self.load(job_id)
            expected[job.state] += 1
            for batch in job.batches:
                is_open = batch.index not in model.ended
                expected["open_items"] += batch.count * is_open
                expected["reducer_bytes"] += REDUCER_BYTES * is_open
                expected["queued_items"] += batch.count * batch_is_free(model, batch.index)
        assert found == expected

    @precondition(lambda self: self.models)
    @invariant()
    def the_ledger_is_true(self) -> None:
        for job_id, model in self.models.items():
            job = self.load(job_id)
            found = [r for r in self.records.stream(job) if r["epoch"] and r["pid"]]
            indices = [record["index"] for record in found]
            assert len(indices) == len(set(indices)), "an item was counted twice"
            assert {r["index"]: r["value"] for r in found} == model.recorded
            sums = ExactSum()
            for batch in job.batches:
                sums.merge(ExactSum.parse(batch.tally.sum))
            assert sums.text() == exact(model.recorded.values())
            assert reduced_of(job) == reduced_from(model.recorded)
            for batch, state in model.ended.items():
                assert job.batches[batch].state == state
            found_twice = {batch.index for batch in job.batches if batch.second_try}
            assert found_twice == model.tried_twice
            over = len(model.ended) == len(job.batches)
            assert (job.state in TERMINAL_STATES) == over
            if model.state in TERMINAL_STATES:
                assert job.state == model.state, "a terminal state changed"
            model.state = job.state

    def teardown(self) -> None:
        if not hasattr(self, "models"):
            return
        for job_id, model in self.models.items():
            job = self.load(job_id)
            for batch in job.batches:
                if batch.index not in model.ended:
                    self.finish(job_id, model, batch.index)
            job = self.load(job_id)
            assert job.state in TERMINAL_STATES
            assert self.jobs.delete(job_id) == "deleted"
        assert self.redis.zcard(keys.LEASES) == self.redis.zcard(keys.WAITING) == 0
        present = ("queued_items", "open_items", "reducer_bytes", "queued", "running")
        counts = self.redis.hmget(keys.COUNTS, *present)
        assert not any(int(count or 0) for count in counts)

    def finish(self, job_id: str, model: Modelled, batch: int) -> None:
        holder = model.owners.get(batch)
        claim = holder.claim if holder else self.owner.claim(job_id, batch, OWNER)
        assert isinstance(claim, Claim)
        assert self.owner.end(claim, Ending("cancelled", {}, "cancelled"))

    def end(self, model: Modelled, batch: int, state: str) -> None:
        model.owners.pop(batch, None)
        model.ended[batch] = state

    def load(self, job_id: str) -> JobEntry:
        job = self.jobs.load(job_id)
        assert job
        return job

    def check_claim(self, model: Modelled, claim: Claim) -> None:
        assert claim.done == self.recorded_of(model, claim)
        assert claim.in_flight == model.in_flight.get(claim.batch, frozenset())

    def recorded_of(self, model: Modelled, claim: Claim) -> set[int]:
        return set(range(claim.first, claim.first + claim.count)) & model.recorded.keys()


def batch_is_free(model: Modelled, batch: int) -> bool:
    return batch not in model.owners and batch not in model.ended


def reduced_of(job: JobEntry) -> dict[str, Any]:
    return {
        name: merge(reducer, [batch.reduced.get(name) for batch in job.batches]).show()
        for name, reducer in job.spec.reduce.items()
    }


def reduced_from(recorded: dict[int, Any]) -> dict[str, Any]:
    indices = sorted(recorded)
    whole = BatchReductions(REDUCE, {}).add(indices, [recorded[at] for at in indices])
    return {name: Reduction.parse(REDUCE[name], whole.get(name)).show() for name in REDUCE}


def exact(values: Any) -> str:
    total = ExactSum()
    for value in values:
        total.add(value)
    return total.text()


@pytest.mark.parametrize("examples", [8, *full(200)])
@pytest.mark.timeout(1500)
def test_the_ledger_follows_its_model(examples: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bp-") as name:
        server = start_valkey(Path(name), "--appendfsync", "no")
        try:
            with connect(f"unix://{name}/redis.sock") as client:
                wait_until_answering(client)
                machine = type("Machine", (LedgerMachine,), {"redis": client})
                machine.TestCase.settings = settings(
                    max_examples=examples,
                    stateful_step_count=40,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                )
                machine.TestCase("runTest").runTest()
        finally:
            server.terminate()
            server.wait(10)
