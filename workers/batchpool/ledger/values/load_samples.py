"""Samples of what each class of workers had to do."""

from dataclasses import dataclass

from batchpool.json_value import JsonValue


@dataclass(frozen=True)
class ClassLoad(JsonValue):
    """The load of a class of workers at one moment.

    Args:
        queued: batches that wait for it; `oldest_s` is how long the first of them has waited.
        running: batches that its workers run.
    """

    queued: int = 0
    oldest_s: float | None = None
    running: int = 0


@dataclass(frozen=True)
class LoadSample(JsonValue):
    """The load of each class that had any, by its id; `at_ms` is the time on Redis' clock."""

    at_ms: int
    classes: dict[str, ClassLoad]
