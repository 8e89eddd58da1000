"""Rows and lessons of the demo's report; pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from batchpool.client.resources import Job
from batchpool.lessons.doubts import GAIN, span_of

if TYPE_CHECKING:
    from batchpool.charts.timeline_arms import ArmRun


@dataclass(frozen=True)
class Row:
    """One variant: a finished job and its speedup over the sequential run of the same session."""

    way: str
    wall_s: float
    speedup: float | None
    parallelism: float
    pids: int
    workers: int
    sum: int | float | None
    observed: int | float | None
    """Final value of the shared global in the process that ran the batch; added over batches."""
    round_speedups: tuple[float, ...] = ()
    """Speedup in each round, if there were several; the other values are the median round's."""
    job_id: str = ""

    @property
    def faster(self) -> bool:
        """Whether it was clearly faster than the sequential run of the same session."""
        return self.speedup is not None and self.speedup >= GAIN

    @property
    def interpretation(self) -> str:
        """Interpret the row in a few words: concurrent tasks are not always faster."""
        if self.parallelism < GAIN:
            return "one after another"
        return "at once, faster" if self.faster else "at once, no gain"


@dataclass(frozen=True)
class Section:
    """Rows that ran the same tasks; the first row is the sequential run."""

    title: str
    rows: tuple[Row, ...]
    doubts: tuple[str, ...] = ()
    """Reasons why no conclusion can be drawn from the speedups."""

    def interpretation(self, row: Row) -> str:
        """Interpret one of the rows, or say that its speedup means nothing."""
        return "no conclusion" if self.doubts and row.speedup else row.interpretation


@dataclass(frozen=True)
class DemoReport:
    """All measurements of the demo."""

    sections: tuple[Section, ...]
    total_s: float
    python: str
    gil: bool
    redis: str
    runs: "tuple[tuple[ArmRun, ...], ...]" = ()
    """The timeline of each row, by section."""

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON data, without the timelines."""
        shown = asdict(replace(self, runs=()))
        del shown["runs"]
        return {**shown, "lessons": self.lessons()}

    def lessons(self) -> list[str]:
        """Interpret the numbers in sentences; the first names what spoiled the measurement."""
        sleep, cpu, files = self.sections
        if cpu.doubts:
            return [_on_doubts(cpu), _on_sleep(sleep), _on_files(files)]
        return [_on_sleep(sleep), _on_cpu(cpu, self.gil), _on_files(files)]


def row_of(way: str, job: Job, sequential_s: float | None) -> Row:
    """Make the row of a finished job; without `sequential_s` it is the sequential run itself."""
    wall_s = float(job.timing["wall_s"])
    observed = [seen for seen in job["shared_sum"]["observed"] if seen is not None]
    return Row(
        way=way,
        wall_s=wall_s,
        speedup=sequential_s / wall_s if sequential_s is not None and wall_s else None,
        parallelism=float(job.timing["parallelism"]),
        pids=int(job["pids_total"]),
        workers=int(job["workers_total"]),
        sum=job.sum,
        observed=sum(observed) if observed else None,
        job_id=job.id,
    )


def median_row(rounds: Sequence[Row], sequential_s: float | None) -> Row:
    """Return the round of median wall time, with the speedup over the median sequential run.

    Args:
        rounds: one row per round, each with the speedup over the sequential run of its round.
        sequential_s: None for the sequential variant itself.
    """
    middle = sorted(rounds, key=lambda row: row.wall_s)[len(rounds) // 2]
    return replace(
        middle,
        speedup=sequential_s / middle.wall_s if sequential_s is not None else None,
        round_speedups=tuple(row.speedup for row in rounds if row.speedup is not None),
    )


def _of(section: Section, *words: str) -> list[Row]:
    return [row for row in section.rows[1:] if row.way.startswith(words)]


def _speedups(rows: list[Row]) -> list[float]:
    return [row.speedup for row in rows if row.speedup is not None]


def _on_sleep(section: Section) -> str:
    concurrent = section.rows[1:]
    return (
        f"Waiting overlaps in threads and in processes alike: {section.rows[0].wall_s:.1f} s one "
        f"after the other, {span_of([row.wall_s for row in concurrent], ' s')} at once."
    )


def _on_cpu(section: Section, gil: bool) -> str:
    threads, processes = _of(section, "thread"), _of(section, "multi", "process")
    by_threads, by_processes = _speedups(threads), _speedups(processes)
    busy = span_of([row.parallelism for row in threads], "")
    text = (
        f"Computing does not: threads had {busy} tasks in flight and a speedup of "
        f"{span_of(by_threads, '')}"
    )
    if max(by_threads) >= GAIN:
        text = f"Computing in threads had a speedup of {span_of(by_threads, '')}"
    elif gil:
        text += " (the GIL lets one thread compute at a time)"
    gain = "processes had" if max(by_processes) >= GAIN else "processes, on these CPUs, had only"
    return f"{text}; {gain} {span_of(by_processes, '')}."


def _on_files(section: Section) -> str:
    one, two = section.rows
    same = "the same exact sum" if one.sum == two.sum else "DIFFERENT sums"
    return (
        f"{same[0].upper()}{same[1:]} of {one.sum} lines comes from one worker and from two; a "
        "global is shared by threads, and never by processes or workers."
    )


def _on_doubts(section: Section) -> str:
    return (
        "No conclusion about computing, because this machine was too busy: "
        f"{'; '.join(section.doubts)}. Run the demo again when nothing else runs."
    )
