"""Tasks import the packages of the project in whose root the worker was started."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from batchpool.ledger.presence import Presence
from tests.support.stack_processes import StackProcesses

PROJECT = {
    "shop/__init__.py": "",
    "shop/prices.py": "FACTOR = 10\n",
    "tasks.py": "ADD = 1\n",
    "queue.py": "raise ImportError('the module of the standard library was wanted')\n",
    "jobs/helper.py": "import tasks\nfrom shop.prices import FACTOR\n",
    "jobs/priced.py": (
        "import queue\nfrom batchpool.tasks import task\nimport helper\n"
        "from jobs.helper import tasks\n"
        "@task('priced')\ndef priced(item): return item * helper.FACTOR + tasks.ADD\n"
    ),
}


@pytest.fixture
def crew(redis_url: str, redis: Redis, bare: Any) -> Iterator[StackProcesses]:
    with StackProcesses(redis_url, redis, bare) as made:
        yield made


def test_tasks_import_their_project_and_their_neighbours_wherever_they_run(
    crew: StackProcesses, redis: Redis, tmp_path: Path
) -> None:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    crew.folder = tmp_path
    crew.start_workers(1, BATCHPOOL_TASKS_DIR="jobs")
    (document,) = Presence(redis).classes()
    assert document.errors == ()
    for backend in document.backends:
        if backend == "asyncio":
            continue
        for method in ("fork", "spawn", "forkserver"):
            more = {"start_method": method} if "process" in backend else {}
            job = crew.run(task="priced", count=3, backend=backend, **more)
            assert (job["state"], job["sum"]) == ("succeeded", 33), (backend, method)
