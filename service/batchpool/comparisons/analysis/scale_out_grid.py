"""Scale-up against scale-out: batches × concurrency at equally many tasks in flight."""

from collections.abc import Sequence

from batchpool.schemas.comparison_responses import ArmResult, RatioInfo, Verdict
from batchpool.schemas.job_responses import ResponseModel


class GridCell(ResponseModel):
    """One arm of a table."""

    arm: str
    batches: int
    concurrency: int
    median_s: float | None
    mad_s: float | None
    ratio: RatioInfo | None
    verdict: Verdict | None
    hosts: list[str]
    cpus: float | None
    max_in_flight: int | None
    cpu_s: float | None
    peak_pss_bytes: int | None


class GridTable(ResponseModel):
    """Arms of one family with the same number of tasks in flight, by batches."""

    backend: str
    in_flight: int
    cells: list[GridCell]


class Heatmap(ResponseModel):
    """One family of arms: rows are batches, columns concurrency; None where there is no arm."""

    backend: str
    batches: list[int]
    concurrency: list[int]
    arms: list[list[str | None]]
    median_s: list[list[float | None]]
    speedup: list[list[float | None]]


class ScaleOutGrid(ResponseModel):
    """All tables and heat maps of a comparison."""

    tables: list[GridTable]
    heatmaps: list[Heatmap]


def grid_of(results: Sequence[ArmResult]) -> ScaleOutGrid | None:
    """Tables and heat maps per family of arms; None if no two arms have as many tasks in flight."""
    families: dict[tuple[object, ...], list[ArmResult]] = {}
    for result in results:
        spec = result.spec
        if spec.backend != "sequential":
            key = (spec.backend, spec.start_method, spec.pool, spec.dispatch, spec.chunksize)
            families.setdefault(key, []).append(result)
    tables = [table for family in families.values() for table in _tables(family)]
    if not tables:
        return None
    wide = [family for family in families.values() if len(_batches(family)) > 1]
    return ScaleOutGrid(tables=tables, heatmaps=[_heatmap(family) for family in wide])


def _tables(family: Sequence[ArmResult]) -> list[GridTable]:
    by_in_flight: dict[int, list[ArmResult]] = {}
    for result in family:
        in_flight = result.spec.batches * result.spec.concurrency
        by_in_flight.setdefault(in_flight, []).append(result)
    return [
        GridTable(
            backend=family[0].spec.backend,
            in_flight=in_flight,
            cells=[_cell(each) for each in sorted(equal, key=lambda each: each.spec.batches)],
        )
        for in_flight, equal in sorted(by_in_flight.items())
        if len(_batches(equal)) > 1
    ]


def _cell(result: ArmResult) -> GridCell:
    return GridCell(
        arm=result.name,
        batches=result.spec.batches,
        concurrency=result.spec.concurrency,
        median_s=result.median_s,
        mad_s=result.mad_s,
        ratio=result.ratio,
        verdict=result.verdict,
        hosts=result.hosts,
        cpus=result.cpus,
        max_in_flight=result.max_in_flight,
        cpu_s=result.cpu_s,
        peak_pss_bytes=result.peak_pss_bytes,
    )


def _heatmap(family: Sequence[ArmResult]) -> Heatmap:
    rows = _batches(family)
    columns = sorted({result.spec.concurrency for result in family})
    by_cell = {(result.spec.batches, result.spec.concurrency): result for result in family}
    cells = [[by_cell.get((row, column)) for column in columns] for row in rows]
    return Heatmap(
        backend=family[0].spec.backend,
        batches=rows,
        concurrency=columns,
        arms=[[cell.name if cell else None for cell in row] for row in cells],
        median_s=[[cell.median_s if cell else None for cell in row] for row in cells],
        speedup=[
            [cell.speedup.value if cell and cell.speedup else None for cell in row] for row in cells
        ],
    )


def _batches(family: Sequence[ArmResult]) -> list[int]:
    return sorted({result.spec.batches for result in family})
