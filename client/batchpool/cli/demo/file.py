"""The report of the demo as one file: its tables, and a timeline of each way on one axis."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from batchpool.cli.demo.output import TITLES, cells_of
from batchpool.cli.demo.report import DemoReport, Section
from batchpool.client.client import Client

if TYPE_CHECKING:
    from batchpool.charts.svg import Table
    from batchpool.charts.timeline_arms import ArmRun
    from batchpool.charts.timeline_document import Timeline
    from batchpool.pages.chart_card import ChartCard


def load_runs(client: Client, sections: Sequence[Section]) -> "tuple[tuple[ArmRun, ...], ...]":
    """The timeline of the run of each row, by section."""
    from batchpool.charts.timeline_arms import ArmRun

    return tuple(
        tuple(
            ArmRun(row.way, row.wall_s, cast("Timeline", client.timeline(row.job_id)))
            for row in section.rows
        )
        for section in sections
    )


def write_demo_file(report: DemoReport) -> Path:
    """Write the report into the folder for temporary files, under a new name."""
    from batchpool.pages.one_file import render_file

    sections = [
        (_card(section, runs), _figures(section))
        for section, runs in zip(report.sections, report.runs, strict=True)
    ]
    text = render_file("demo_file.html", view=report, sections=sections)
    handle, name = tempfile.mkstemp(prefix="batchpool-demo-", suffix=".html")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(name)


def _card(section: Section, runs: "Sequence[ArmRun]") -> "ChartCard":
    from batchpool.charts import timeline_arms
    from batchpool.pages.chart_card import ChartCard

    name, _, what = section.title.partition(": ")
    keys = (("cpu", "computing"), ("held", "waiting or held up"), ("startup", "start-up"))
    drawing, table = timeline_arms.draw(runs), timeline_arms.table(runs)
    return ChartCard(name, name, drawing, table, note=what, keys=keys)


def _figures(section: Section) -> "Table":
    """What the command prints: what a row shows beside its name, then all figures."""
    from batchpool.charts.svg import Table

    rows = tuple((cells[0].strip(), cells[-1], *cells[1:-1]) for cells in cells_of(section))
    header = ("Way", "So", *(f"{title[:1].upper()}{title[1:]}" for title in TITLES[1:-1]))
    return Table(section.title, header, rows, figures=len(header) - 2)
