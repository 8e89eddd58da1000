"""A grid of speedups: the stronger the blue the faster; hatched where no difference is shown."""

from dataclasses import dataclass
from math import log
from typing import Literal

from batchpool.charts import numbers
from batchpool.charts.svg import Caption, Table, chart, rectangle, text
from batchpool.charts.visible_text import shortened

Evidence = Literal["shown", "not shown", "reference", "no verdict"]

_TOP, _LEVELS = 40, 5


@dataclass(frozen=True)
class Cell:
    """One arm of the grid.

    Args:
        ratio: how many times as fast as the reference, > 0; 1 for the reference itself, and
            where there is no verdict.
        low, high: the interval of `ratio`.
        evidence: whether a difference from the reference is shown.
    """

    ratio: float
    low: float | None
    high: float | None
    evidence: Evidence
    is_best: bool = False


@dataclass(frozen=True)
class Grid:
    """Rows by columns; a cell that is missing was not run.

    Args:
        row_name, column_name: what is varied along each side.
        cells: by row and column, each counted from 0.
    """

    row_name: str
    column_name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: dict[tuple[int, int], Cell]


def draw(grid: Grid, width: int = 560) -> str:
    """The grid, its columns sharing the width."""
    longest = max((len(row) for row in grid.rows), default=0)
    gutter = min(width * 0.36, max(len(grid.row_name) * 5.6 + 34, longest * 6.8 + 22))
    cell_w = (width - gutter) / max(1, len(grid.columns))
    cell_h = 62 if len(grid.rows) > 3 else 78
    body = text(gutter + (width - gutter) / 2, 12, grid.column_name, "t2 mid")
    for at, name in enumerate(grid.columns):
        body += text(gutter + cell_w * (at + 0.5), 31, name, "t1 t12 mid")
    for row, name in enumerate(grid.rows):
        middle = _TOP + cell_h * (row + 0.5)
        body += text(gutter - 14, middle + 4, shortened(name, gutter - 14), "t1 t12 end")
        for column in range(len(grid.columns)):
            place = (gutter + cell_w * column, _TOP + cell_h * row)
            body += _cell(grid, (row, column), place, (cell_w, cell_h))
    # Last, so that the frame of the best is not covered.
    body += text(0, 31, grid.row_name, "t2")
    caption = Caption(
        f"Speedup by {grid.row_name or 'backend'} and {grid.column_name}",
        f"{_described(grid)} Hatched: no difference from the reference is shown.",
    )
    return chart("chart heat", (width, _TOP + cell_h * len(grid.rows) + 2), body, caption)


def table(grid: Grid) -> Table:
    """A row per row of the grid, a column per column; `*` marks what is not shown to differ."""
    rows = tuple(
        (name, *(_cell_text(grid.cells.get((row, at))) for at in range(len(grid.columns))))
        for row, name in enumerate(grid.rows)
    )
    header = tuple(f"{grid.column_name} {name}" for name in grid.columns)
    return Table(
        "Speedup of each cell",
        (grid.row_name.capitalize() or "Backend", *header),
        rows,
        len(header),
    )


def _cell(
    grid: Grid, key: tuple[int, int], place: tuple[float, float], size: tuple[float, float]
) -> str:
    cell = grid.cells.get(key)
    x, y = place[0] + 1.5, place[1] + 1.5
    inside = (size[0] - 3, size[1] - 3)
    middle_x, middle_y = place[0] + size[0] / 2, place[1] + size[1] / 2
    if cell is None or cell.evidence == "no verdict":
        body = rectangle("void", x, y, inside, 5)
        return body + text(middle_x, middle_y + 4, _cell_text(cell), "small mid")
    level = _level(cell, max(each.ratio for each in grid.cells.values()))
    body = rectangle(f"h{level}", x, y, inside, 5)
    body += rectangle("none", x, y, inside, 5) if cell.evidence == "not shown" else ""
    body += rectangle("best", x, y, inside, 5) if cell.is_best else ""
    small = "reference" if cell.evidence == "reference" else _narrow_interval(cell, size[0])
    figure = numbers.ratio(cell.ratio)
    return (
        body
        + text(middle_x, middle_y - 1, figure, f"fig on{level} mid")
        + text(middle_x, middle_y + 15, small, f"small on{level} mid")
    )


def _narrow_interval(cell: Cell, width: float) -> str:
    """The interval; without spaces where the cell is narrow."""
    shown = numbers.interval(cell.low, cell.high)
    return shown.replace(numbers.NO_BREAK, "") if width < 80 else shown


def _level(cell: Cell, best: float) -> int:
    """Depth of blue, 0 to 5, by the logarithm of the ratio."""
    if cell.evidence != "shown" or cell.ratio <= 1 or best <= 1:
        return 0
    return min(_LEVELS, 1 + int(log(cell.ratio) / log(best) * (_LEVELS - 0.001)))


def _cell_text(cell: Cell | None) -> str:
    if cell is None:
        return "not run"
    if cell.evidence == "no verdict":
        return "no verdict"
    if cell.evidence == "reference":
        return f"{numbers.ratio(cell.ratio)} (reference)"
    star = "*" if cell.evidence == "not shown" else ""
    return f"{numbers.ratio(cell.ratio)}{star} ({numbers.interval(cell.low, cell.high)})"


def _described(grid: Grid) -> str:
    best = next(((k, c) for k, c in grid.cells.items() if c.is_best), None)
    run = numbers.plural(len(grid.cells), "cell")
    if best is None:
        return f"{run}; none is the best beyond doubt."
    (row, column), cell = best
    where = f"{grid.row_name} {grid.rows[row]}, {grid.column_name} {grid.columns[column]}".strip()
    return f"{run}; the best is {where}: {numbers.ratio(cell.ratio)}."
