"""What a task writes into the channels of its process runs no code and costs its job at most."""

from pathlib import Path

import pytest

from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses

TASKS = str(Path(__file__).parent / "tasks")
CASES = [
    *(("thread-pool", how) for how in ("pickle", "torn")),
    *(("process-pool", how) for how in ("text", "torn")),
    *full(
        *(("sequential", how) for how in ("text", "json", "endless")),
        *(("process-pool", how) for how in ("pickle", "endless")),
        *(("multiprocessing", how) for how in ("text", "pickle", "endless")),
    ),
]


@pytest.mark.parametrize(("backend", "how"), CASES)
def test_rubbish_in_a_channel_costs_the_job_that_wrote_it(
    crew: StackProcesses, tmp_path: Path, backend: str, how: str
) -> None:
    canary = tmp_path / "canary"
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS, CANARY=str(canary))
    items = 12
    job = crew.run(
        task="send-rubbish",
        params={"how": how},
        count=items,
        backend=backend,
        concurrency=2,
        within_s=90,
    )
    sent = Path(f"{canary}.sent")
    assert all(map(int, sent.read_text().split())), "nothing was sent"
    assert not canary.exists(), "what a task sent was unpickled"
    # Its neighbours finish, whatever becomes of the item that wrote it.
    assert job["progress"]["succeeded"] >= items - 1, job
    job = crew.run(task="echo", count=items, backend=backend)
    assert (job["state"], job["sum"]) == ("succeeded", 66)
