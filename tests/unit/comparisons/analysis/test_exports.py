"""Exports: Markdown, CSV and hyperfine's JSON."""

import csv
import io
import statistics
from dataclasses import replace

import pytest

from batchpool.comparisons.analysis.analyse import analyse
from batchpool.comparisons.analysis.exports import Results, to_csv, to_hyperfine, to_markdown
from batchpool.ledger.values.comparison_entries import Environment
from tests.unit.comparisons.analysis.sample_sessions import NOTEBOOK, Machine


@pytest.fixture
def results() -> Results:
    data = Machine(seed=1, arms=NOTEBOOK).session().data
    return Results(data.spec, data.samples, Environment(python="3.14.0"), analyse(data))


def with_name(results: Results, index: int, name: str) -> Results:
    arms = [
        arm.model_copy(update={"name": name}) if arm.index == index else arm
        for arm in results.analysis.arms
    ]
    return replace(results, analysis=results.analysis.model_copy(update={"arms": arms}))


def test_markdown_has_a_row_per_arm_and_the_conclusion(results: Results) -> None:
    text = to_markdown(results)
    for arm in results.analysis.arms:
        assert text.count(f"| {arm.name} |") == 2
    assert results.analysis.conclusion[0] in text
    assert "python 3.14.0" in text


def test_markdown_tables_hold_whatever_an_arm_is_called(results: Results) -> None:
    results = with_name(results, 1, "a | b\n<script>")
    rows = [line for line in to_markdown(results).splitlines() if line.startswith("|")]
    widths = {line.replace("\\|", "").count("|") for line in rows}
    assert len(widths) == 2
    assert "<script>" not in to_markdown(results)


def test_csv_has_a_row_per_run_of_an_arm(results: Results) -> None:
    first, second = results.samples[:2]
    more = [
        replace(first, disturbed="a foreign batch"),
        replace(first, kind="warmup"),
        replace(second, facts=None, error="=cmd()"),
    ]
    results = replace(results, samples=[*results.samples, *more])
    rows = list(csv.DictReader(io.StringIO(to_csv(results))))
    assert len(rows) == 6 * 10 + 2
    assert {row["counts"] for row in rows[:60]} == {"1"}
    assert [row["counts"] for row in rows[60:]] == ["0", "0"]
    assert rows[-1]["error"] == "'=cmd()"
    assert first.facts and float(rows[0]["wall_s"]) == first.facts.wall_s
    assert rows[0]["job_id"] == first.job_id
    assert {row["arm"] for row in rows} == {a["name"] for a in NOTEBOOK} | {"sequential again"}


def test_hyperfines_readers_find_what_hyperfine_writes(results: Results) -> None:
    found = to_hyperfine(results).model_dump(exclude_unset=True)["results"]
    assert len(found) == 5
    for result, arm in zip(found, results.analysis.arms, strict=True):
        assert set(result) == {
            "command",
            "mean",
            "stddev",
            "median",
            "user",
            "system",
            "min",
            "max",
            "times",
            "memory_usage_byte",
            "exit_codes",
            "parameters",
        }
        assert result["times"] == arm.samples
        assert result["mean"] == pytest.approx(statistics.fmean(arm.samples))
        assert len(result["exit_codes"]) == len(result["times"]) == len(result["memory_usage_byte"])
        assert all(isinstance(value, str) for value in result["parameters"].values())


def test_an_arm_that_was_never_measured_is_left_out_of_hyperfines_results(
    results: Results,
) -> None:
    results.analysis.arms[2].samples = []
    assert len(to_hyperfine(results).results) == 4
