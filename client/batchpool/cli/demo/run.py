"""`batchpool demo`: the notebook's six variants, then real input, measured in one session."""

import os
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from batchpool.cli.demo.file import load_runs
from batchpool.cli.demo.report import DemoReport, Row, Section, median_row, row_of
from batchpool.cli.output import stderr_console
from batchpool.client.client import Client
from batchpool.client.errors import BatchpoolError
from batchpool.client.resources import Job
from batchpool.lessons.doubts import doubts_about
from batchpool.stack.local_stack import LocalStack, StackOptions

SLEEP_S = 2.0
SLEEP_ITEMS = 5
SLEEP_CONCURRENCY = 10
CPU_ITEMS = 8
CPU_TASK_S = 0.15
CPU_CONCURRENCY = 2
CPU_ROUNDS = 3

_PROBE_ITERATIONS = 1_000_000
_JOB_LIMIT_S = 60.0


@dataclass(frozen=True)
class Variant:
    """One of the notebook's six variants of running the same tasks."""

    name: str
    spec: Mapping[str, Any]


SIX_WAYS = (
    Variant("sequential", {"backend": "sequential"}),
    Variant("multiprocessing", {"backend": "multiprocessing"}),
    Variant("threading", {"backend": "threading"}),
    Variant("thread-pool submit", {"backend": "thread-pool", "dispatch": "submit"}),
    Variant("thread-pool map", {"backend": "thread-pool", "dispatch": "map"}),
    Variant("process-pool map", {"backend": "process-pool", "dispatch": "map"}),
)

# Two to warm up, one to see how fast the machine is, and three on real input.
_JOBS = 3 + (1 + CPU_ROUNDS) * len(SIX_WAYS) + 3


class DemoFailed(BatchpoolError):
    """A job of the demo did not succeed."""


class DemoRunner:
    """Runs the demo's jobs one after the other and shows progress."""

    def __init__(self, client: Client, console: Console, jobs: int) -> None:
        self._client = client
        self._console = console
        self._progress = Progress(
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} jobs"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._bar = self._progress.add_task("", total=jobs)
        self._done = 0

    def __enter__(self) -> "DemoRunner":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def run(self, what: str, task: str, **spec: Any) -> Job:
        """Run one job to its end, with a progress bar that counts its items."""
        if not self._console.is_terminal:
            self._console.print(what)
        job = self._client.submit(task, timeout_s=_JOB_LIMIT_S, **spec)
        for event in self._client.events(job):
            now = Job(event.data)
            part = now.finished_items / now.progress["total"]
            self._progress.update(self._bar, description=what, completed=self._done + part)
        self._done += 1
        ended = self._client.wait(job, _JOB_LIMIT_S)
        if not ended.succeeded:
            raise DemoFailed(f"the job of {what!r} ended {ended.state}: {ended.data.get('error')}")
        return ended

    def records(self, job: Job) -> Iterator[dict[str, Any]]:
        """Return the records of a job."""
        return self._client.records(job)


class BackgroundLoad:
    """Measures the CPU load of other programs since it was created."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._others_s = _busy_s() - _own_s()

    def cpus(self) -> float:
        """Return how many CPUs other programs used, on average."""
        elapsed_s = time.monotonic() - self._started
        return max(0.0, (_busy_s() - _own_s() - self._others_s) / elapsed_s)


def _own_s() -> float:
    # What has ended is in the times of the parent that reaped it.
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.Error:
            pass
    return total


def _busy_s() -> float:
    times = psutil.cpu_times()._asdict()
    # What guests use is in `user` already.
    return float(
        sum(times[name] for name in times.keys() - {"idle", "iowait", "guest", "guest_nice"})
    )


def run_demo(environ: Mapping[str, str]) -> DemoReport:
    """Start a stack with two workers, run the demo on it, stop it.

    Raises:
        BatchpoolError: the stack did not come up, or a job failed.
    """
    started = time.monotonic()
    root, sources = standard_library()
    console = stderr_console()
    options = StackOptions(
        workers=2,
        temporary=True,
        prefer_own_redis=True,
        environ={**environ, "BATCHPOOL_FILES_ROOT": str(root), "BATCHPOOL_LOG_LEVEL": "warning"},
    )
    log: list[str] = []
    with console.status("starting Redis, the API, two workers and the reconciler …"):
        stack = LocalStack(options, lambda name, line: log.append(f"{name}: {line}"))
        stack.start()
    try:
        with Client(stack.url) as client, DemoRunner(client, console, _JOBS) as guide:
            _warm_up(guide)
            gil = all(worker["gil"] for worker in client.workers())
            sleep = _sleep(guide)
            cpu = _cpu(guide, gil)
            files = _files(guide, sources)
            runs = load_runs(client, (sleep, cpu, files))
    except BatchpoolError as error:
        raise DemoFailed("\n".join([str(error), *log[-20:]])) from error
    finally:
        stack.stop()
    return DemoReport(
        sections=(sleep, cpu, files),
        total_s=time.monotonic() - started,
        python=sys.version.split()[0],
        gil=gil,
        redis=stack.choice.why if stack.choice else "",
        runs=runs,
    )


def _warm_up(guide: DemoRunner) -> None:
    """Start both workers' fork server and pool, so that no variant pays for the first start."""
    for backend in ("multiprocessing", "process-pool"):
        # Long enough that one worker cannot take both batches.
        guide.run(
            f"warming up: {backend}",
            "sleep",
            params={"seconds": 0.3},
            count=4,
            batches=2,
            backend=backend,
            concurrency=2,
        )


def _round(run: Callable[[Variant], Job]) -> list[Row]:
    rows: list[Row] = []
    for way in SIX_WAYS:
        # The first is the sequential one: the others' speedup is against it, and only against it.
        rows.append(row_of(way.name, run(way), rows[0].wall_s if rows else None))
    return rows


def _sleep(guide: DemoRunner) -> Section:
    rows = _round(
        lambda way: guide.run(
            f"sleep: {way.name}",
            "sleep",
            params={"seconds": SLEEP_S},
            count=SLEEP_ITEMS,
            concurrency=SLEEP_CONCURRENCY,
            shared_sum="global",
            **way.spec,
        ),
    )
    return Section(
        f"sleep: {SLEEP_ITEMS} tasks that wait {SLEEP_S:g} s, up to {SLEEP_CONCURRENCY} in flight",
        tuple(rows),
    )


def _cpu(guide: DemoRunner, gil: bool) -> Section:
    iterations = _iterations_of_a_task(guide)
    others = BackgroundLoad()
    # Short and interleaved: a load that comes and goes meets all variants, and shows.
    rounds = [
        _round(
            lambda way: guide.run(
                f"cpu: {way.name}",
                "cpu",
                params={"iterations": iterations},
                count=CPU_ITEMS,
                concurrency=CPU_CONCURRENCY,
                shared_sum="global",
                **way.spec,
            ),
        )
        for _ in range(CPU_ROUNDS)
    ]
    others_cpus = others.cpus()
    sequential, *concurrent = zip(*rounds, strict=True)
    reference = median_row(sequential, None)
    rows = (reference, *(median_row(each, reference.wall_s) for each in concurrent))
    spare_cpus = (os.cpu_count() or 1) - CPU_CONCURRENCY - others_cpus
    return Section(
        f"cpu: {CPU_ITEMS} tasks that compute for {CPU_TASK_S:g} s, "
        f"up to {CPU_CONCURRENCY} in flight; median of {CPU_ROUNDS} rounds",
        rows,
        doubts_about(rows, others_cpus=others_cpus, spare_cpus=spare_cpus, gil=gil),
    )


def _iterations_of_a_task(guide: DemoRunner) -> int:
    probe = guide.run(
        "cpu: how fast is this machine?",
        "cpu",
        params={"iterations": _PROBE_ITERATIONS},
        count=5,
        backend="sequential",
    )
    # CPU time, and the fastest: a probe that had to wait would make the tasks too short.
    task_s = min(float(record["cpu_s"]) for record in guide.records(probe))
    return max(1000, round(_PROBE_ITERATIONS * CPU_TASK_S / task_s))


def _files(guide: DemoRunner, sources: list[str]) -> Section:
    rows: list[Row] = []
    # The first run reads from the disk, all others from memory; it is not shown.
    for name, batches in (("warming up", 1), ("1 batch", 1), ("2 batches", 2)):
        job = guide.run(
            f"files: {name}",
            "files",
            items=sources,
            backend="sequential",
            batches=batches,
            shared_sum="global",
        )
        if name != "warming up":
            rows.append(row_of(name, job, rows[0].wall_s if rows else None))
    return Section(
        f"files: the lines of all {len(sources)} .py files of the standard library", tuple(rows)
    )


def standard_library() -> tuple[Path, list[str]]:
    """Return the folder of this Python's standard library, and its .py files relative to it."""
    root = Path(sysconfig.get_paths()["stdlib"]).resolve()
    found: list[str] = []
    for folder, names, files in os.walk(root):
        # What others installed below it is not the standard library.
        names[:] = sorted(set(names) - {"site-packages", "dist-packages", "__pycache__"})
        found += [
            str((Path(folder) / file).relative_to(root))
            for file in sorted(files)
            if file.endswith(".py") and (Path(folder) / file).resolve().is_relative_to(root)
        ]
    return root, found
