"""The page of a comparison: the conclusion first, and no claim beyond the data."""

import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from batchpool.comparisons.analysis.analyse import analyse
from batchpool.ledger.values.comparison_entries import ComparisonEntry, ExecutionNotes
from batchpool.model import TaskError
from batchpool.pages.comparisons.listing import build_list, comparison_line
from batchpool.pages.comparisons.view import ComparisonView, build_comparison
from batchpool.pages.frame import Frame
from batchpool.pages.rendering import render
from tests.support import chart_samples
from tests.unit.comparisons.analysis.invalid_sessions import INVALID, invalid
from tests.unit.comparisons.analysis.sample_sessions import (
    GOOD,
    NOTEBOOK,
    Machine,
    SessionDocument,
    arm,
    good,
)

CPU = Machine(seed=1, arms=NOTEBOOK, computes_s=0.3)
GRID = [
    arm("thread-pool", concurrency, batches) for batches in (1, 2) for concurrency in (1, 2, 4, 8)
]


def entry_of(session: SessionDocument, **change: Any) -> ComparisonEntry:
    """A comparison that has ended with the results of this session."""
    data = session.data
    entry = ComparisonEntry(
        id="1a217f14e897bb4a66028461",
        state="succeeded",
        spec=data.spec,
        class_id="c",
        submitted_ms=1_000,
        started_ms=1_500,
        finished_ms=46_300,
        cancelled_ms=None,
        position=len(data.samples),
        attempt=1,
        job_id=None,
        ttl_s=86_400,
        notes=ExecutionNotes(),
        environment=data.environment,
        error=None,
        samples=tuple(data.samples),
        analysis=analyse(data).model_dump(),
    )
    return replace(entry, **change)


def view_of(entry: ComparisonEntry) -> ComparisonView:
    return build_comparison(entry, 20_000, chart_samples.arm_runs())


def text_of(html: str) -> str:
    shown = re.sub(r"<(svg|head)\b.*?</\1>", " ", html, flags=re.S)
    words = unescape(re.sub(r"<[^>]*>", " ", shown))
    return re.sub(r"\s+", " ", words.replace("\u00a0", " ").replace("\u202f", " "))


def page_of(view: ComparisonView) -> str:
    return render("comparison.html", frame=Frame("Comparisons"), view=view)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_the_arm_to_take_comes_first_with_its_interval() -> None:
    view = view_of(entry_of(CPU.session()))
    assert re.fullmatch(
        r"Take (multiprocessing|process-pool) 1 x 4\. It is 1\.9\d times as fast as sequential\.",
        plain(view.headline.title),
    )
    assert re.fullmatch(r"1\.9\d to [12]\.\d\d", view.headline.interval[0])
    assert plain(view.headline.interval[1]) == "nominal 95 % interval, 10 rounds"
    rows = dict(view.headline.rows)
    assert rows["Why"].startswith("The GIL limits threading 1 x 4")
    assert "show no difference from sequential" in rows["Or"]
    text = text_of(page_of(view))
    places = [text.index(words) for words in (plain(view.headline.title), "Can it be trusted?")]
    assert places == sorted(places)


def test_each_arm_has_its_rounds_as_dots_and_only_what_is_shown_is_marked() -> None:
    entry = entry_of(CPU.session())
    (ratios,) = view_of(entry).top
    assert ratios.drawing.count('class="dot"') == 5 * 10
    groups = re.findall(r'<g class="(faster|slower|none)">', ratios.drawing)
    assert groups == ["none", "none", "faster", "none", "faster"]
    assert ratios.table.rows[0][1] == "reference"


def test_a_grid_has_a_heat_map_and_a_curve_per_number_of_batches() -> None:
    machine = Machine(seed=3, arms=GRID, items=64, waits_s=0.02, computes_s=0.0005)
    view = view_of(entry_of(machine.session()))
    names = [card.name for card in (*view.beside, *view.last)]
    assert names == ["parts", "grid", "scaling", "scaling-2"]
    assert len(view.last) == 2
    grid = view.beside[1].table
    assert (len(grid.rows), len(grid.header)) == (2, 5)
    assert "(reference)" in grid.rows[0][1]


def test_a_refused_fit_says_why() -> None:
    arms = [arm("sequential"), arm("thread-pool", 2), arm("thread-pool", 4)]
    machine = Machine(seed=3, arms=arms, waits_s=0.3, computes_s=0.001, rounds=3)
    view = view_of(entry_of(machine.session()))
    (scaling,) = [card for card in (*view.beside, *view.last) if card.name == "scaling"]
    assert "No curve: " in scaling.drawing
    assert 'class="fit"' not in scaling.drawing


@pytest.mark.parametrize("name", INVALID)
def test_nothing_is_claimed_of_an_invalid_comparison(name: str) -> None:
    entry = entry_of(invalid(name, 9))
    view = view_of(entry)
    assert entry.analysis
    of_all = [each for each in entry.analysis["guard"] if each["arm"] is None]
    if of_all:
        assert view.headline.title == "Nothing is proven."
        assert view.headline.figure == ""
        reasons = [plain(text).lower() for _, text in view.headline.rows]
        assert reasons and len(reasons) == len(entry.analysis["guard"])
        # The reference is 1 by definition.
        assert view.top[0].drawing.count('class="mark"') == 1
    assert [check.kind for check in view.checks].count("bad") == len(entry.analysis["guard"])
    page_of(view)


@pytest.mark.parametrize("name", GOOD)
def test_a_sound_comparison_has_checks_that_passed(name: str) -> None:
    view = view_of(entry_of(good(name, 9)))
    assert "bad" not in {check.kind for check in view.checks}
    assert "The control equals the reference." in {check.title for check in view.checks}
    text = text_of(page_of(view))
    assert "Seed 9" in text and "What a run costs" in text


def test_a_running_comparison_says_how_far_it_is_and_gives_no_verdict() -> None:
    done = entry_of(CPU.session())
    took = [replace(sample, took_s=2.0) for sample in done.samples[:13]]
    warm = [replace(took[0], kind="warmup", arm=arm, round=1) for arm in range(5)]
    entry = replace(
        done,
        state="running",
        finished_ms=None,
        position=12,
        attempt=2,
        job_id="0" * 24,
        samples=(*warm, *took[:7]),
        analysis=None,
        notes=ExecutionNotes(disturbed=1),
    )
    view = view_of(entry)
    # 5 warm-up runs and 60 measured ones, of which 53 are left, 2 s each.
    assert plain(view.headline.title) == "12 of 65 runs are done; about 2 min to go."
    rows = dict(view.headline.rows)
    assert re.fullmatch(r"Round 2 of 10: .*, attempt 2\.", rows["Now"])
    assert "1 run had to be repeated" in plain(rows["Note"])
    assert view.top == () and "0 of 10" not in view.progress
    html = page_of(view)
    assert 'action="/comparisons/1a217f14e897bb4a66028461/cancel"' in html
    assert "faster" not in text_of(html)
    waiting = replace(entry, job_id=None, notes=ExecutionNotes(waits_for="an idle worker"))
    assert dict(view_of(waiting).headline.rows)["Waits"].startswith("It waits for an idle worker.")


def test_a_queued_comparison_says_that_it_starts_by_itself() -> None:
    entry = replace(
        entry_of(CPU.session()), state="queued", started_ms=None, samples=(), analysis=None
    )
    assert view_of(entry).headline.title == "It waits for its turn."


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"state": "cancelled", "position": 12}, "Cancelled after 12 of 65 runs: no verdict."),
        (
            {
                "state": "failed",
                "error": TaskError(
                    type="no_worker", message="the workers are gone", traceback=None
                ),
            },
            "No verdict: the workers are gone.",
        ),
    ],
)
def test_a_comparison_without_results_proves_nothing(change: dict[str, Any], reason: str) -> None:
    entry = replace(entry_of(CPU.session()), analysis=None, **change)
    view = view_of(entry)
    assert view.headline.title == "Nothing is proven."
    assert [plain(text) for _, text in view.headline.rows] == [reason]
    assert text_of(page_of(view))


def test_an_arm_without_a_baseline_run_is_not_split() -> None:
    session = CPU.session()
    for sample in session.samples:
        sample["facts"]["alone_s"] = None
        sample["facts"]["parts"] |= {"waiting": None, "contention": None, "unaccounted": None}
        sample["facts"]["per_task"] |= {"waiting": None, "contention": None}
    view = view_of(entry_of(session))
    parts = next(card for card in view.beside if card.name == "parts")
    assert 'class="unknown"' in parts.drawing


def test_markup_in_names_and_labels_is_text() -> None:
    session = CPU.session()
    session.spec["arms"][2]["name"] = "<b>&\u202e"
    session.spec["labels"] = {"<script>": '"><script>alert(1)</script>'}
    html = page_of(view_of(entry_of(session)))
    assert "<script>alert" not in html and "<b>&" not in html and "\u202e" not in html


def test_a_list_has_the_conclusion_of_each_and_says_that_there_are_more() -> None:
    entry = entry_of(CPU.session())
    lines = [comparison_line(entry, 0), comparison_line(replace(entry, analysis=None), 0)]
    view = build_list(lines, "succeeded", "mixed", "0" * 24)
    text = text_of(render("comparisons.html", frame=Frame("Comparisons"), view=view))
    assert "times as fast as sequential." in text
    assert "2 comparisons shown; there are more" in text
    assert view.older == f"/comparisons?task=mixed&state=succeeded&cursor={'0' * 24}"
    empty = build_list([], None, None, None)
    assert "batchpool compare" in render("comparisons.html", frame=Frame("Comparisons"), view=empty)


def test_a_check_that_found_something_is_not_said_to_be_in_order() -> None:
    titles = {
        kind: {check.title for check in view_of(entry_of(good(kind, 9))).checks}
        for kind in ("computing", "a step of half as much again")
    }
    stayed = "The machine stayed the same."
    assert stayed in titles["computing"]
    assert stayed not in titles["a step of half as much again"]


def test_what_is_the_same_for_all_arms_is_said_once() -> None:
    session = CPU.session()
    for sample in session.samples:
        sample["facts"]["load_1m"] = 60.0
    checks = view_of(entry_of(session)).checks
    loads = [check.text for check in checks if "load average" in check.text]
    assert len(loads) == 1 and loads[0].endswith("(all arms).")
