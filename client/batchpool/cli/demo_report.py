"""Rows and lessons of the demo's report; pure."""

from dataclasses import asdict, dataclass
from typing import Any

from batchpool.client.resources import Job

# Less than this is not called a gain: one run on a busy machine wobbles by as much.
_GAIN = 1.25
# The same work took so much more CPU time at one time than at another: not a quiet machine.
_UNEVEN = 1.15
_BUSY_CPUS = 0.25


@dataclass(frozen=True)
class Row:
    """One variant: a finished job and its speedup over the sequential run of the same session."""

    way: str
    wall_s: float
    speedup: float | None
    parallelism: float
    cpu_s: float
    pids: int
    workers: int
    sum: int | float | None
    observed: int | float | None
    """Final value of the shared global in the process that ran the batch; added over batches."""

    @property
    def faster(self) -> bool:
        """Whether it was clearly faster than the sequential run of the same session."""
        return self.speedup is not None and self.speedup >= _GAIN

    @property
    def interpretation(self) -> str:
        """Interpret the row in a few words: concurrent tasks are not always faster."""
        if self.parallelism < _GAIN:
            return "one after another"
        return "at once, faster" if self.faster else "at once, no gain"


@dataclass(frozen=True)
class Section:
    """Rows that ran the same tasks; the first row is the sequential run."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class DemoReport:
    """All measurements of the demo."""

    sections: tuple[Section, ...]
    total_s: float
    python: str
    gil: bool
    redis: str
    others_cpus: float
    """How many CPUs programs beside the demo kept busy while it computed."""

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {**asdict(self), "lessons": self.lessons()}

    def lessons(self) -> list[str]:
        """Interpret the numbers in sentences."""
        sleep, cpu, files = self.sections
        lessons = [_on_sleep(sleep), _on_cpu(cpu, self.gil), _on_files(files)]
        return [*lessons, *_on_noise(cpu, self.others_cpus)]


def row_of(way: str, job: Job, sequential_s: float | None) -> Row:
    """Make the row of a finished job; without `sequential_s` it is the sequential run itself."""
    wall_s = float(job.timing["wall_s"])
    observed = [seen for seen in job["shared_sum"]["observed"] if seen is not None]
    return Row(
        way=way,
        wall_s=wall_s,
        speedup=sequential_s / wall_s if sequential_s is not None and wall_s else None,
        parallelism=float(job.timing["parallelism"]),
        cpu_s=float(job.timing["task_cpu_s"]),
        pids=int(job["pids_total"]),
        workers=int(job["workers_total"]),
        sum=job.sum,
        observed=sum(observed) if observed else None,
    )


def _of(section: Section, *words: str) -> list[Row]:
    return [row for row in section.rows[1:] if row.way.startswith(words)]


def _span(values: list[float], unit: str) -> str:
    low, high = min(values), max(values)
    if f"{low:.1f}" == f"{high:.1f}":
        return f"{low:.1f}{unit}"
    return f"{low:.1f} to {high:.1f}{unit}"


def _speedups(rows: list[Row]) -> list[float]:
    return [row.speedup for row in rows if row.speedup is not None]


def _on_sleep(section: Section) -> str:
    concurrent = section.rows[1:]
    return (
        f"Waiting overlaps in threads and in processes alike: {section.rows[0].wall_s:.1f} s one "
        f"after the other, {_span([row.wall_s for row in concurrent], ' s')} at once."
    )


def _on_cpu(section: Section, gil: bool) -> str:
    threads, processes = _of(section, "thread"), _of(section, "multi", "process")
    by_threads, by_processes = _speedups(threads), _speedups(processes)
    busy = _span([row.parallelism for row in threads], "")
    text = (
        f"Computing does not: threads had {busy} tasks in flight and a speedup of "
        f"{_span(by_threads, '')}"
    )
    if max(by_threads) >= _GAIN:
        text = f"Computing in threads had a speedup of {_span(by_threads, '')}"
    elif gil:
        text += " (the GIL lets one thread compute at a time)"
    gain = "processes had" if max(by_processes) >= _GAIN else "processes, on these CPUs, had only"
    return f"{text}; {gain} {_span(by_processes, '')}."


def _on_files(section: Section) -> str:
    one, two = section.rows
    same = "the same exact sum" if one.sum == two.sum else "DIFFERENT sums"
    return (
        f"{same[0].upper()}{same[1:]} of {one.sum} lines comes from one worker and from two; a "
        "global is shared by threads, and never by processes or workers."
    )


def _on_noise(section: Section, others_cpus: float) -> list[str]:
    signs = []
    if others_cpus > _BUSY_CPUS:
        signs.append(f"other programs used {others_cpus:.1f} CPUs")
    # Not the processes: side by side on the threads of one core they take longer by themselves.
    spent = [row.cpu_s for row in (section.rows[0], *_of(section, "thread"))]
    if max(spent) > _UNEVEN * min(spent):
        signs.append(f"the same work took {min(spent):.1f} to {max(spent):.1f} s of CPU time")
    if not signs:
        return []
    return [f"This machine was not quiet ({'; '.join(signs)}): take the speedups with care."]
