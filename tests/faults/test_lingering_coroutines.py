"""A batch ends soon after its last record, whatever its coroutines left in the loop."""

from pathlib import Path

import pytest

from tests.support.stack_processes import StackProcesses
from tests.support.waiting import check_time

TASKS = str(Path(__file__).parent / "tasks")


@pytest.mark.parametrize("what", ["executor", "stubborn", "pending"])
def test_what_coroutines_leave_does_not_delay_the_end(crew: StackProcesses, what: str) -> None:
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)
    crew.run(task="echo", count=1, backend="asyncio")
    params = {"what": what}
    job = crew.run(task="linger", params=params, count=3, backend="asyncio", concurrency=3)
    assert (job["state"], job["sum"]) == ("succeeded", 3)
    check_time(f"the end of a batch that left: {what}", job["timing"]["wall_s"], 2.0)
    after = crew.run(task="echo", count=3, backend="asyncio")
    assert (after["state"], after["sum"]) == ("succeeded", 3)
