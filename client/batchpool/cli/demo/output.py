"""Print the demo's table, as wide as the terminal allows."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from batchpool.cli.demo.report import DemoReport, Row, Section
from batchpool.cli.output import stdout_console

TITLES = ("way", "wall", "speedup", "parallelism", "PIDs", "workers", "sum", "global saw", "so")
_LEFT = frozenset({"way", "so"})
_BAD, _GOOD = "yellow", "green"


def print_demo(report: DemoReport) -> None:
    """Print the table and its interpretation."""
    console = stdout_console()
    for line in _lines(report, console):
        console.print(line, soft_wrap=True)
    console.print()
    for lesson in report.lessons():
        console.print(lesson, markup=False)
    gil = "with the GIL" if report.gil else "without a GIL"
    console.print(
        f"Python {report.python} {gil}, {report.redis}, {report.total_s:.0f} s in all.",
        style="dim",
    )


def _lines(report: DemoReport, console: Console) -> list[Text]:
    # Not rich's Table: a section's title would widen the first column and squeeze the others.
    cells = {
        row: cells
        for section in report.sections
        for row, cells in zip(section.rows, cells_of(section), strict=True)
    }
    widths = [max(map(len, column)) for column in zip(TITLES, *cells.values(), strict=True)]
    shown = len(TITLES)
    if _width(widths, 1) > console.width:
        shown -= 1
    gap = " " * (2 if _width(widths[:shown], 2) <= console.width else 1)
    lines = [Text(_join(TITLES[:shown], widths, gap), "bold")]
    for section in report.sections:
        lines += [Text(), Text(section.title, "bold cyan")]
        for row in section.rows:
            line = Text(_join(cells[row][:shown], widths, gap))
            if row.speedup is not None and not section.doubts:
                line.highlight_words([cells[row][2]], _GOOD if row.faster else _BAD)
            lines.append(line)
    return lines


def _width(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1)


def _join(cells: Sequence[str], widths: Sequence[int], gap: str) -> str:
    parts = [
        cell.ljust(width) if title in _LEFT else cell.rjust(width)
        for cell, width, title in zip(cells, widths, TITLES, strict=False)
    ]
    return gap.join(parts).rstrip()


def cells_of(section: Section) -> list[list[str]]:
    """The cells of each row of a section, in the order of `TITLES`."""
    return [_cells(section, row) for row in section.rows]


def _cells(section: Section, row: Row) -> list[str]:
    return [
        f" {row.way}",
        f"{row.wall_s:.2f} s",
        "–" if row.speedup is None else f"{row.speedup:.2f} ×",
        f"{row.parallelism:.2f}",
        str(row.pids),
        str(row.workers),
        str(row.sum),
        "–" if row.observed is None else str(row.observed),
        section.interpretation(row),
    ]
