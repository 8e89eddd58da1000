"""The document in other forms."""

import copy
import csv
import io
import statistics
from typing import Any

import pytest

from batchpool.comparisons.analysis.analyse import analyse
from batchpool.comparisons.analysis.exports import to_csv, to_hyperfine, to_markdown
from tests.unit.comparisons.analysis.sample_sessions import NOTEBOOK, Machine


@pytest.fixture
def document() -> dict[str, Any]:
    session = Machine(seed=1, arms=copy.deepcopy(NOTEBOOK)).session()
    return {
        **analyse(session),
        "spec": session.spec,
        "samples": list(session.samples),
        "environment": {**session.environment, "python": "3.14.0"},
    }


def test_markdown_has_a_row_per_arm_and_the_conclusion(document: dict[str, Any]) -> None:
    text = to_markdown(document)
    for arm in document["arms"]:
        assert text.count(f"| {arm['name']} |") == 2
    assert document["conclusion"][0] in text
    assert "python 3.14.0" in text


def test_markdown_tables_hold_whatever_an_arm_is_called(document: dict[str, Any]) -> None:
    document["arms"][1]["name"] = "a | b\n<script>"
    rows = [line for line in to_markdown(document).splitlines() if line.startswith("|")]
    widths = {line.replace("\\|", "").count("|") for line in rows}
    assert len(widths) == 2
    assert "<script>" not in to_markdown(document)


def test_csv_has_a_row_per_run_of_an_arm(document: dict[str, Any]) -> None:
    disturbed = {**document["samples"][0], "disturbed": "a foreign batch"}
    warmup = {**document["samples"][0], "kind": "warmup"}
    failed = {**document["samples"][1], "facts": None, "error": "=cmd()"}
    document["samples"] += [disturbed, warmup, failed]
    rows = list(csv.DictReader(io.StringIO(to_csv(document))))
    assert len(rows) == 6 * 10 + 2
    assert {row["counts"] for row in rows[:60]} == {"1"}
    assert [row["counts"] for row in rows[60:]] == ["0", "0"]
    assert rows[-1]["error"] == "'=cmd()"
    first, shown = document["samples"][0], rows[0]
    assert float(shown["wall_s"]) == first["facts"]["wall_s"]
    assert shown["job_id"] == first["job_id"]
    assert {row["arm"] for row in rows} == {a["name"] for a in NOTEBOOK} | {"sequential again"}


def test_hyperfines_readers_find_what_hyperfine_writes(document: dict[str, Any]) -> None:
    results = to_hyperfine(document)["results"]
    assert len(results) == 5
    for result, arm in zip(results, document["arms"], strict=True):
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
        assert result["times"] == arm["samples"]
        assert result["mean"] == pytest.approx(statistics.fmean(arm["samples"]))
        assert len(result["exit_codes"]) == len(result["times"]) == len(result["memory_usage_byte"])
        assert all(isinstance(value, str) for value in result["parameters"].values())


def test_an_arm_that_was_never_measured_is_left_out_of_hyperfines_results(
    document: dict[str, Any],
) -> None:
    document["arms"][2]["samples"] = []
    assert len(to_hyperfine(document)["results"]) == 4
