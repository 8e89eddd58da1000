"""Records that a killed runner had made, and a cancel that comes before they are written."""

from typing import Any

import pytest

from batchpool.ledger.ownership import DUE, Claim, Ownership
from batchpool.model import ExecutionSite, Outcome
from batchpool.worker.claimed_batch import ClaimedBatch
from batchpool.worker.finished_writer import write_finished

OWNER: Any = {"worker": "w1", "host": "box", "pid": 7, "ppid": 6, "python": "3.11", "gil": True}
SITE = ExecutionSite(7, 6, 7, "t", 0)


@pytest.mark.parametrize("has_kept", [True, False])
@pytest.mark.parametrize("ends", ["cancelled", "timeout"])
def test_kept_records_are_written_before_their_batch_ends(
    stage: Any, has_kept: bool, ends: str
) -> None:
    job_id = stage.post(task="echo", items=[1, 2, 3])["id"]
    owned = ClaimedBatch(stage.claim(job_id), 0, 1.0)
    owner = Ownership(stage.redis)
    if has_kept:
        owned.keep([Outcome(1, "succeeded", 2, None, SITE, 0, 5, 0)])
    if ends == "cancelled":
        assert stage.http.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    else:
        now_s, _ = stage.redis.time()
        stage.redis.hset(f"bp:job:{job_id}", "deadline_ms", now_s * 1000 - 1)

    def claim_again(owned: ClaimedBatch, has_kept: bool) -> Claim | str:
        return owner.claim(job_id, 0, OWNER, owned.claim, has_kept=has_kept)

    found = claim_again(owned, bool(owned.unrecorded()))
    if has_kept:
        assert found == DUE
        assert stage.get(f"/v1/jobs/{job_id}")["batches"][0]["state"] == "running"
        for _ in range(2):
            # Once only, however often it is tried.
            write_finished(owner, owned, OWNER, "", lambda step: step())
        found = claim_again(owned, False)
    assert found == "ended"
    job = stage.get(f"/v1/jobs/{job_id}")
    assert job["progress"]["succeeded"] == has_kept and job["sum"] == (2 if has_kept else None)
    assert job["progress"][ends] == 3 - has_kept
    assert job["state"] == ("cancelled" if ends == "cancelled" else "failed")


def test_kept_records_do_not_stop_a_batch_that_goes_on(stage: Any) -> None:
    job_id = stage.post(task="echo", items=[1, 2, 3])["id"]
    first = stage.claim(job_id)
    again = Ownership(stage.redis).claim(job_id, 0, OWNER, first, has_kept=True)
    assert isinstance(again, Claim) and again.epoch == 2
    (epoch, _) = stage.get(f"/v1/jobs/{job_id}")["batches"][0]["epochs"]
    assert epoch["end_reason"] == "crashed"
