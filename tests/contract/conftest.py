"""What the contract suite shares: all the ways to run a batch, and a station with its tasks."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batchpool.backends.context import RunnerContext
from batchpool.backends.facts import BACKENDS
from batchpool.children.start_methods import start_fork_server, stop_helpers
from batchpool.model import BatchSpec, RunSpec
from batchpool.runner.run_batch import BatchResult, run_batch
from batchpool.tasks import TaskSources, load_tasks

SOURCES = TaskSources(tasks_dir=str(Path(__file__).parent / "tasks"))


@dataclass(frozen=True)
class Way:
    """One backend with its options."""

    backend: str
    start_method: str = "forkserver"
    pool: str = "warm"
    dispatch: str = "map"

    @property
    def name(self) -> str:
        facts = BACKENDS[self.backend]
        parts = [self.backend]
        parts += [self.start_method] if facts.start_method else []
        parts += [self.pool] if facts.warm else []
        parts += ["submit"] if self.dispatch == "submit" else []
        return "-".join(parts)

    @property
    def in_process(self) -> bool:
        return BACKENDS[self.backend].in_process

    @property
    def is_threaded(self) -> bool:
        return self.backend in ("threading", "thread-pool")

    @property
    def is_parallel(self) -> bool:
        """Whether as many tasks run at once as the concurrency says; `auto` may choose fewer."""
        return self.backend != "sequential" and not self.chooses

    @property
    def chooses(self) -> bool:
        return BACKENDS[self.backend].slot_kind == "chosen"

    @property
    def shares(self) -> bool:
        return BACKENDS[self.backend].shares

    def lanes(self, concurrency: int) -> set[int]:
        """The effective concurrencies that are right."""
        if self.chooses:
            return set(range(1, concurrency + 1))
        return {concurrency if self.is_parallel else 1}

    def few(self, count: int) -> int:
        """So many items, or fewer where each starts a process."""
        return min(count, 8) if self.backend == "multiprocessing" else count

    def run(self, context: RunnerContext, task: str, items: Any, **options: Any) -> BatchResult:
        """Run a task over items this way."""
        limit_ns = options.pop("limit_ns", None)
        spec = RunSpec(
            task,
            params=options.pop("params", {}),
            backend=self.backend,
            concurrency=options.pop("concurrency", 3),
            start_method=self.start_method,
            pool=self.pool,
            dispatch=self.dispatch,
            **options,
        )
        return run_batch(BatchSpec(spec, items, limit_ns=limit_ns), context=context)


METHODS = ("fork", "spawn", "forkserver")
IN_PROCESS = [
    Way("sequential"),
    Way("threading"),
    Way("thread-pool"),
    Way("thread-pool", dispatch="submit"),
    Way("asyncio"),
    Way("auto"),
]
INTERPRETERS = [Way("interpreter-pool", pool=pool) for pool in ("warm", "fresh")]
PROCESSES = [
    *(Way("multiprocessing", method) for method in METHODS),
    *(Way("process-pool", method, pool) for method in METHODS for pool in ("warm", "fresh")),
    Way("process-pool", "forkserver", "warm", "submit"),
]
ALL = [*IN_PROCESS, *INTERPRETERS, *PROCESSES]
SAMPLE = [
    *(*IN_PROCESS, *INTERPRETERS),
    Way("multiprocessing", "forkserver"),
    Way("process-pool", "fork", "fresh"),
    Way("process-pool", "spawn", "warm"),
    Way("process-pool", "forkserver", "warm"),
    Way("process-pool", "forkserver", "warm", "submit"),
]
"""Each backend, start method, pool and dispatch; the full run has each with each."""
FEW = [
    way
    for way in SAMPLE
    if way.in_process or (way.start_method == "forkserver" and way.dispatch == "map")
]
"""Without a second way to start or feed the same children."""
OF_STARTS = "test_concurrency.py"
"""The file about what starts children. In `make test` it has SAMPLE, as have tests that hold for
none of FEW; the others have FEW."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ways(which): the ways to run that a test holds for")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for a `way` all of them, or those that its mark picks."""
    if "way" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("ways")
        ways = [way for way in ALL if mark is None or mark.args[0](way)]
        is_of_starts = metafunc.definition.path.name == OF_STARTS
        sample = SAMPLE if is_of_starts or not set(ways) & set(FEW) else FEW
        marks = {way: () if way in sample else pytest.mark.full for way in ways}
        cases = [pytest.param(way, id=way.name, marks=marks[way]) for way in ways]
        metafunc.parametrize("way", cases)


@pytest.fixture(autouse=True)
def _supported(request: pytest.FixtureRequest) -> None:
    if "way" in request.fixturenames:
        facts = BACKENDS[request.getfixturevalue("way").backend]
        if not facts.is_supported:
            needed = ".".join(map(str, facts.min_python))
            pytest.skip(f"{facts.name} needs Python {needed}")


@pytest.fixture(scope="module")
def fork_server() -> Iterator[None]:
    """Starts one for all tests of a file: a context that finds one running leaves it so.

    Not for files about what dies or is left, where each test begins with no process.
    """
    # A short path: sockets lie in it.
    folder = Path(tempfile.mkdtemp(prefix="bpt-"))
    start_fork_server(SOURCES, folder)
    yield
    stop_helpers(tracker_too=True)
    shutil.rmtree(folder)


@pytest.fixture
def context() -> Iterator[RunnerContext]:
    registry = load_tasks(SOURCES)
    assert not registry.errors
    with RunnerContext(registry, owns_process=True) as context:
        yield context


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path)
