"""From a request to its arms: a grid multiplied out, each arm read and named, one the reference."""

from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any

from batchpool.backends.facts import BACKENDS
from batchpool.comparisons.refusals import nested
from batchpool.schemas.comparison_requests import (
    MOST_ARMS,
    ArmRequest,
    ComparisonRequest,
    GridRequest,
)
from batchpool.schemas.job_requests import read_model
from batchpool.schemas.refusals import InvalidFields, invalid_field

ARM_FIELDS = (
    "backend",
    "concurrency",
    "batches",
    "dispatch",
    "chunksize",
    "start_method",
    "pool",
    "shared_sum",
)
"""What an arm decides of the spec of its jobs."""


def read_arms(order: ComparisonRequest) -> list[tuple[str, ArmRequest]]:
    """The arms that were ordered, each with the field to blame for what is wrong with it.

    Raises:
        InvalidFields: an arm is none, or there are too few or too many of them.
    """
    if order.grid is not None:
        return [("grid", arm) for arm in expand_grid(_read("grid", GridRequest, order.grid))]
    return [
        (f"arms.{at}", _read(f"arms.{at}", ArmRequest, arm))
        for at, arm in enumerate(order.arms or ())
    ]


def _read(field: str, model: type[Any], body: Any) -> Any:
    try:
        return read_model(model, body)
    except InvalidFields as refusal:
        raise InvalidFields(nested(field, refusal.errors)) from None


def expand_grid(grid: GridRequest) -> list[ArmRequest]:
    """Each combination once, without what its backend does not have.

    Raises:
        InvalidFields: fewer than 2 or more than `MOST_ARMS` are left.
    """
    axes = [name for name in ARM_FIELDS if getattr(grid, name, None) is not None]
    # Each axis has at most 20 values, but seven of them would multiply to a billion.
    size = 1
    for name in axes:
        size *= len(getattr(grid, name))
    if size > 10_000:
        raise invalid_field("grid", f"must have 2 to {MOST_ARMS} combinations, got {size}")
    arms: dict[str, ArmRequest] = {}
    for values in product(*(getattr(grid, name) for name in axes)):
        arm = _applicable(dict(zip(axes, values, strict=True)))
        if grid.in_flight in (None, _in_flight(arm)):
            arms.setdefault(repr(sorted(arm.items(), key=str)), _read("grid", ArmRequest, arm))
    if not 2 <= len(arms) <= MOST_ARMS:
        kept = f" with {grid.in_flight} tasks in flight" if grid.in_flight else ""
        raise invalid_field(
            "grid", f"must have 2 to {MOST_ARMS} different arms{kept}, got {len(arms)}"
        )
    return list(arms.values())


def _applicable(cell: dict[str, Any]) -> dict[str, Any]:
    facts = BACKENDS.get(cell["backend"]) if isinstance(cell["backend"], str) else None
    if facts is None:
        return cell
    dropped = set() if facts.dispatch else {"dispatch", "chunksize", "pool"}
    dropped |= set() if facts.start_method else {"start_method"}
    if facts.slot_kind == "one":
        cell = cell | {"concurrency": 1} if "concurrency" in cell else cell
    return {name: value for name, value in cell.items() if name not in dropped}


def _in_flight(arm: dict[str, Any]) -> int | None:
    concurrency, batches = arm.get("concurrency", 1), arm.get("batches", 1)
    is_number = type(concurrency) is int and type(batches) is int
    return concurrency * batches if is_number else None


def name_arms(arms: Sequence[dict[str, Any]], given: Sequence[str | None]) -> list[str]:
    """A name for each arm: the given one, else as many words as tell it from all others.

    Args:
        arms: their complete `ARM_FIELDS`.
    Raises:
        InvalidFields: two arms were given one name.
    """
    taken = Counter(name for name in given if name is not None)
    twice = sorted(name for name, times in taken.items() if times > 1)
    if twice:
        raise invalid_field(
            "arms", f"names must differ, but {taken[twice[0]]} arms are named {twice[0]!r}"
        )
    names = [name or _short_name(arm) for arm, name in zip(arms, given, strict=True)]
    for field in ("pool", "dispatch", "start_method", "chunksize", "shared_sum"):
        for same in _clashes(names):
            if len({repr(arms[at][field]) for at in same}) > 1:
                for at in same:
                    if given[at] is None and arms[at][field] is not None:
                        names[at] += f" {_word(field, arms[at][field])}"
    for same in _clashes(names):
        for number, at in enumerate([at for at in same if given[at] is None], 1):
            names[at] += f" #{number}"
    return names


def _clashes(names: Sequence[str]) -> list[list[int]]:
    by_name: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        by_name.setdefault(name, []).append(at)
    return [same for same in by_name.values() if len(same) > 1]


def _short_name(arm: dict[str, Any]) -> str:
    if arm["backend"] == "sequential":
        return "sequential" if arm["batches"] == 1 else f"sequential {arm['batches']} x 1"
    if arm["batches"] == 1:
        return f"{arm['backend']} {arm['concurrency']}"
    return f"{arm['backend']} {arm['batches']} x {arm['concurrency']}"


def _word(field: str, value: Any) -> str:
    words = {"chunksize": f"chunks of {value}", "shared_sum": f"sum {value}"}
    return words.get(field, str(value))


def find_reference(wanted: Any, arms: Sequence[dict[str, Any]]) -> int:
    """The index of the arm that the others are compared with.

    Args:
        wanted: a name, an index, or None for the first `sequential` arm, else the first.
    Raises:
        InvalidFields: there is no such arm.
    """
    names = [arm["name"] for arm in arms]
    if wanted is None:
        return next((at for at, arm in enumerate(arms) if arm["backend"] == "sequential"), 0)
    if wanted in names:
        return names.index(wanted)
    if type(wanted) is int and 0 <= wanted < len(arms):
        return wanted
    shown = ", ".join(repr(name) for name in names)
    raise invalid_field("reference", f"unknown arm {str(wanted)[:80]!r}; arms: {shown}")
