"""From a request to its arms: expand the grid, read each arm, name it, find the reference."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, count, product

from batchpool.backends.facts import BACKENDS
from batchpool.comparisons.planning import ARM_FIELDS
from batchpool.ledger.values.comparison_entries import ArmSpec
from batchpool.schemas.comparison_requests import (
    MOST_ARMS,
    ArmRequest,
    ComparisonRequest,
    GridRequest,
)
from batchpool.schemas.reading import read_part
from batchpool.schemas.refusals import invalid_field

MOST_COMBINATIONS = 10_000

NAMING_FIELDS = ("pool", "dispatch", "start_method", "chunksize", "shared_sum")
"""The fields that a name adds to backend, batches and concurrency, where arms differ in them."""


def read_arms(request: ComparisonRequest) -> list[tuple[str, ArmRequest]]:
    """The arms of a request, each with the field of the body to blame for its errors.

    Raises:
        InvalidFields: an arm cannot be read, or there are too few or too many.
    """
    if request.grid is not None:
        grid = read_part("grid", GridRequest, request.grid)
        return [("grid", arm) for arm in expand_grid(grid)]
    return [
        (f"arms.{index}", read_part(f"arms.{index}", ArmRequest, arm))
        for index, arm in enumerate(request.arms or ())
    ]


def expand_grid(grid: GridRequest) -> list[ArmRequest]:
    """Each combination once, without the options that its backend does not have.

    Raises:
        InvalidFields: fewer than 2 or more than `MOST_ARMS` are left.
    """
    axes = [name for name in ARM_FIELDS if getattr(grid, name, None) is not None]
    # Each axis has at most 20 values, but seven of them would multiply to a billion.
    size = 1
    for name in axes:
        size *= len(getattr(grid, name))
    if size > MOST_COMBINATIONS:
        raise invalid_field("grid", f"must have 2 to {MOST_ARMS} combinations, got {size}")
    arms: dict[str, ArmRequest] = {}
    for values in product(*(getattr(grid, name) for name in axes)):
        arm = _applicable(dict(zip(axes, values, strict=True)))
        if grid.in_flight in (None, _in_flight(arm)):
            arms.setdefault(repr(sorted(arm.items(), key=str)), read_part("grid", ArmRequest, arm))
    if not 2 <= len(arms) <= MOST_ARMS:
        kept = f" with {grid.in_flight} tasks in flight" if grid.in_flight else ""
        raise invalid_field(
            "grid", f"must have 2 to {MOST_ARMS} different arms{kept}, got {len(arms)}"
        )
    return list(arms.values())


def _applicable(cell: dict[str, object]) -> dict[str, object]:
    backend = cell["backend"]
    facts = BACKENDS.get(backend) if isinstance(backend, str) else None
    if facts is None:
        return cell
    dropped = set() if facts.dispatch else {"dispatch", "chunksize", "pool"}
    dropped |= set() if facts.start_method else {"start_method"}
    if facts.slot_kind == "one" and "concurrency" in cell:
        cell = cell | {"concurrency": 1}
    return {name: value for name, value in cell.items() if name not in dropped}


def _in_flight(cell: dict[str, object]) -> int | None:
    concurrency, batches = cell.get("concurrency", 1), cell.get("batches", 1)
    # Not isinstance: true is no number here.
    if type(concurrency) is not int or type(batches) is not int:
        return None
    return concurrency * batches


def name_arms(arms: Sequence[ArmSpec]) -> list[ArmSpec]:
    """Give each arm without a name the shortest one that no other arm has.

    Raises:
        InvalidFields: two arms were given one name.
    """
    given = Counter(arm.name for arm in arms if arm.name)
    for name, times in given.items():
        if times > 1:
            raise invalid_field("arms", f"names must differ, but {times} arms are named {name!r}")
    families: dict[str, list[ArmSpec]] = {}
    for arm in arms:
        if not arm.name:
            families.setdefault(_short_name(arm), []).append(arm)
    names = {short: _family_names(short, family, given) for short, family in families.items()}
    return [arm if arm.name else replace(arm, name=next(names[_short_name(arm)])) for arm in arms]


def _family_names(short: str, family: Sequence[ArmSpec], given: Collection[str]) -> Iterator[str]:
    """The names of arms whose short name is the same, in order."""
    shown_fields = _distinguishing_fields(family)
    full = [" ".join([short, *_words(arm, shown_fields)]) for arm in family]
    numbers = {n: count(1) for n, times in Counter(full).items() if times > 1 or n in given}
    return (f"{name} #{next(numbers[name])}" if name in numbers else name for name in full)


def _distinguishing_fields(family: Sequence[ArmSpec]) -> tuple[str, ...]:
    """The fewest fields in which no two of the arms are equal; all that differ if none suffice."""
    differing = [name for name in NAMING_FIELDS if len({getattr(a, name) for a in family}) > 1]
    for size in range(len(differing) + 1):
        for chosen in combinations(differing, size):
            values = {tuple(getattr(arm, name) for name in chosen) for arm in family}
            if len(values) == len(family):
                return chosen
    return tuple(differing)


def _short_name(arm: ArmSpec) -> str:
    if arm.backend == "sequential":
        return "sequential" if arm.batches == 1 else f"sequential {arm.batches} x 1"
    if arm.batches == 1:
        return f"{arm.backend} {arm.concurrency}"
    return f"{arm.backend} {arm.batches} x {arm.concurrency}"


def _words(arm: ArmSpec, names: Sequence[str]) -> Iterator[str]:
    prefixes = {"chunksize": "chunks of ", "shared_sum": "sum "}
    for name in names:
        if (value := getattr(arm, name)) is not None:
            yield f"{prefixes.get(name, '')}{value}"


def find_reference(given: str | int | None, arms: Sequence[ArmSpec]) -> int:
    """The index of the arm that the others are compared with.

    Args:
        given: a name, an index, or None for the first `sequential` arm, else the first.
    Raises:
        InvalidFields: there is no such arm.
    """
    names = [arm.name for arm in arms]
    if given is None:
        return next((at for at, arm in enumerate(arms) if arm.backend == "sequential"), 0)
    if isinstance(given, str) and given in names:
        return names.index(given)
    if isinstance(given, int) and 0 <= given < len(arms):
        return given
    shown = ", ".join(repr(name) for name in names)
    raise invalid_field("reference", f"unknown arm {str(given)[:80]!r}; arms: {shown}")
