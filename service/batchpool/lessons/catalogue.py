"""The six lessons: the code that each shows, and the comparison that it orders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from batchpool.json_value import JsonObject
from batchpool.ledger.values.comparison_entries import ComparisonSpec

LABEL: Final = "lesson"
"""The label of a comparison that names its lesson."""

Kind = Literal["computing", "waiting", "race"]


@dataclass(frozen=True)
class Way:
    """One way to run the tasks: an arm of the comparison.

    Args:
        heading: what stands over its timeline; "" for a way that is measured and not drawn.
        options: of the arm, beside its name.
    """

    name: str
    heading: str
    options: Mapping[str, str | int]


@dataclass(frozen=True)
class Lesson:
    """One guided experiment.

    Args:
        step: its short name in the navigation.
        kind: whether a busy machine spoils it (computing), or not.
        code: the notebook's, as it is shown; the first of `ways` is the one to compare with.
        marked: the lines of `code` that matter, from 1: first and last.
        further: what to try next.
    """

    name: str
    step: str
    kind: Kind
    title: str
    lead: str
    code: str
    marked: tuple[int, int]
    further: str
    task: str
    count: int
    rounds: int
    ways: tuple[Way, ...]
    params: Mapping[str, float | int] = field(default_factory=dict)

    def order(self) -> JsonObject:
        """The body of `POST /v1/comparisons` that runs the lesson."""
        return {
            "task": self.task,
            "params": dict(self.params),
            "count": self.count,
            "arms": [{"name": way.name, **way.options} for way in self.ways],
            "rounds": self.rounds,
            "reference": self.ways[0].name,
            "timeout_s": 60,
            "labels": {LABEL: self.name},
        }

    def is_run_by(self, spec: ComparisonSpec) -> bool:
        """Whether a comparison is a run of this lesson, and not only labelled as one."""
        mine = (self.name, self.task, self.count, [way.name for way in self.ways])
        names = [arm.name for arm in spec.arms]
        return (spec.labels.get(LABEL), spec.task, spec.count, names) == mine


_LOOP = """def task(n):
    global sum
    for x in range(1, 20000000):
        float(x) / 3.141592
        float(3.141592) / x
    sum += n
"""
_SLEEP = """def task(n):
    global sum
    time.sleep(2)
    sum += n
"""
_COMPUTING: Final = {"iterations": 800_000}
_WAITING: Final = {"seconds": 0.1}
_GLOBAL: Final = {"shared_sum": "global"}
# The fewest with which a verdict is possible: 6 for two ways, 7 for three.
_TWO, _THREE = 6, 7
_ONE_BY_ONE = Way("one after the other", "", {"backend": "sequential", **_GLOBAL})
_FIRST = Way("one after the other", "One after the other", {"backend": "sequential", **_GLOBAL})

LESSONS: Final = (
    Lesson(
        name="sequential",
        step="Sequential",
        kind="computing",
        title="One after the other",
        lead="Eight tasks that compute, in one worker; then the same eight shared by two workers, "
        "each of which still runs its own one after the other.",
        code=f"{_LOOP}\nfor n in range(8):\n    task(n)\n",
        marked=(8, 9),
        further="A batch is one worker's share. How many tasks of a batch run at once is another "
        "question: the next lessons ask it.",
        task="cpu",
        params=_COMPUTING,
        count=8,
        rounds=_TWO,
        ways=(
            Way("one worker", "One worker", {"backend": "sequential", **_GLOBAL}),
            Way("two workers", "Two workers", {"backend": "sequential", "batches": 2, **_GLOBAL}),
        ),
    ),
    Lesson(
        name="processes",
        step="Processes",
        kind="computing",
        title="A process for each task",
        lead="The same eight tasks one after the other, and then each in a process of its own, "
        "two at a time.",
        code=f"{_LOOP}\nfor n in range(8):\n"
        "    p = Process(target=task, args=(n,))\n    p.start()\n",
        marked=(9, 10),
        further="Read the parents of the processes below: none is the worker. And the global that "
        "the parent sees: lesson 3 has another one.",
        task="cpu",
        params=_COMPUTING,
        count=8,
        rounds=_TWO,
        ways=(
            _FIRST,
            Way(
                "processes",
                "A process per task, two at a time",
                {"backend": "multiprocessing", "concurrency": 2, **_GLOBAL},
            ),
        ),
    ),
    Lesson(
        name="threads",
        step="Threads",
        kind="waiting",
        title="Threads share one memory",
        lead="Five tasks that wait, one after the other, and then each in a thread of its own.",
        code=f"{_SLEEP}\nfor n in range(5):\n"
        "    t = Thread(target=task, args=(n,))\n    t.start()\n",
        marked=(7, 8),
        further="Replace the waiting with a loop that computes, and see lesson 4.",
        task="sleep",
        params=_WAITING,
        count=5,
        rounds=_TWO,
        ways=(
            _FIRST,
            Way(
                "threads",
                "A thread per task",
                {"backend": "threading", "concurrency": 5, **_GLOBAL},
            ),
        ),
    ),
    Lesson(
        name="gil",
        step="The GIL",
        kind="computing",
        title="Two threads, one loop, no gain",
        lead="The same eight tasks, twice: once in two threads of one process, once in two "
        "processes. Each computes; none waits.",
        code=f"{_LOOP}\n# two threads\nwith ThreadPoolExecutor(2) as pool:\n"
        "    pool.map(task, range(8))\n\n# two processes\n"
        "with ProcessPoolExecutor(2) as pool:\n    pool.map(task, range(8))\n",
        marked=(3, 5),
        further="Replace the loop with `time.sleep(2)`, and the threads win as much as the "
        "processes: lesson 5.",
        task="cpu",
        params=_COMPUTING,
        count=8,
        rounds=_THREE,
        ways=(
            _ONE_BY_ONE,
            Way(
                "threads",
                "Threads: one process, one GIL",
                {"backend": "thread-pool", "concurrency": 2, **_GLOBAL},
            ),
            Way(
                "processes",
                "Processes: one GIL each",
                {"backend": "process-pool", "concurrency": 2, **_GLOBAL},
            ),
        ),
    ),
    Lesson(
        name="waiting",
        step="Waiting",
        kind="waiting",
        title="Waiting needs no GIL",
        lead="Six tasks that wait, as for a network or a disk: three at a time in threads, and "
        "three at a time in processes.",
        code=f"{_SLEEP}\n# three threads\nwith ThreadPoolExecutor(3) as pool:\n"
        "    pool.map(task, range(6))\n\n# three processes\n"
        "with ProcessPoolExecutor(3) as pool:\n    pool.map(task, range(6))\n",
        marked=(3, 3),
        further="Files are waited for too, if they are not in memory. Start the workers with "
        "`batchpool up --files-root DIR`, then `ls DIR | batchpool compare files --lines - "
        "--arm sequential --arm thread-pool:3 --arm process-pool:3`",
        task="sleep",
        params=_WAITING,
        count=6,
        rounds=_THREE,
        ways=(
            _ONE_BY_ONE,
            Way(
                "threads",
                "Threads: all hatched, all waiting",
                {"backend": "thread-pool", "concurrency": 3, **_GLOBAL},
            ),
            Way(
                "processes",
                "Processes: the same picture",
                {"backend": "process-pool", "concurrency": 3, **_GLOBAL},
            ),
        ),
    ),
    Lesson(
        name="race",
        step="The race",
        kind="race",
        title="Two write, one is lost",
        lead="Two hundred tasks in eight threads add their number to one sum: once under a lock, "
        "and once by reading it, letting another thread run, and writing it back.",
        code="def task(n):\n    global sum\n    seen = sum\n    time.sleep(0.001)\n"
        "    sum = seen + n\n\n# the same under a lock\ndef task(n):\n    global sum\n"
        "    with lock:\n        sum += n\n",
        marked=(3, 5),
        further="Without the pause between reading and writing, the GIL hides the race on most "
        "Pythons. Nothing promises that it always will.",
        task="sleep",
        # So long that all threads take part: one would do all of them in a millisecond.
        params={"seconds": 0.002},
        count=200,
        rounds=_TWO,
        ways=(
            Way(
                "with a lock",
                "With a lock",
                {"backend": "thread-pool", "concurrency": 8, "shared_sum": "locked"},
            ),
            Way(
                "without a lock",
                "Read, yield, write, without a lock",
                {"backend": "thread-pool", "concurrency": 8, "shared_sum": "racy"},
            ),
        ),
    ),
)

LESSONS_BY_NAME: Final = {lesson.name: lesson for lesson in LESSONS}
