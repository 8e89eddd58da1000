"""What a task writes into the channels of its process runs no code and costs its job at most."""

from pathlib import Path

import pytest

from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses

TASKS = str(Path(__file__).parent / "tasks")
SMALL = [("process-pool", "torn"), ("thread-pool", "pickle"), ("process-pool", "text")]
ALL = [
    *SMALL,
    ("thread-pool", "torn"),
    *(("sequential", how) for how in ("text", "json", "endless")),
    *(("process-pool", how) for how in ("pickle", "endless")),
    *(("multiprocessing", how) for how in ("text", "pickle", "endless")),
]
ITEMS = 12


@pytest.mark.parametrize("cases", [pytest.param(SMALL, id="small"), *full(ALL)])
def test_rubbish_in_a_channel_costs_the_job_that_wrote_it(
    crew: StackProcesses, tmp_path: Path, cases: list[tuple[str, str]]
) -> None:
    canary = tmp_path / "canary"
    # Side by side: a torn message is waited for.
    crew.start_workers(2, BATCHPOOL_TASKS_DIR=TASKS, CANARY=str(canary))
    posted = [
        crew.stage.post(
            task="send-rubbish", params={"how": how}, count=ITEMS, backend=backend, **concurrency
        )["id"]
        for backend, how in cases
        for concurrency in [{"concurrency": 2} if backend != "sequential" else {}]
    ]
    for job_id, case in zip(posted, cases, strict=True):
        job = crew.finish(job_id, 90)
        # Its neighbours finish, whatever becomes of the item that wrote it.
        assert job["progress"]["succeeded"] >= ITEMS - 1, (case, job)
    sent = Path(f"{canary}.sent").read_text().split()
    assert len(sent) >= len(cases) and all(map(int, sent)), "nothing was sent"
    assert not canary.exists(), "what a task sent was unpickled"
    for backend, _ in cases:
        job = crew.run(task="echo", count=ITEMS, backend=backend)
        assert (job["state"], job["sum"]) == ("succeeded", 66)
