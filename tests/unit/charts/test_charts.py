"""What charts hold to beyond their looks: size, hostile names, empty and extreme input."""

import random
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from batchpool.charts import (
    heat_map,
    queue_curve,
    ratio_dots,
    scaling_curve,
    share_bar,
    stacked_parts,
    timeline,
    timeline_arms,
)
from batchpool.charts.heat_map import Grid
from batchpool.charts.ratio_dots import ArmRatio
from batchpool.charts.scaling_curve import Law, Point
from batchpool.charts.svg import as_file
from batchpool.charts.timeline_document import Timeline
from batchpool.charts.timeline_thinning import MOST_BINS, thinned
from tests.support import chart_samples as samples

HOSTILE = '<script>alert(1)</script>\x00\x1b\u202e"&\ud800'


def texts(drawn: str) -> str:
    return " ".join(ElementTree.fromstring(drawn).itertext())


def ten_thousand_items(rng: random.Random) -> Timeline:
    lanes = [samples.lane("vm-1613", 1700 + at, 0) for at in range(100)]
    for each in lanes:
        at = 0.0
        bars = each["bars"]
        assert bars
        for number in range(100):
            wall = rng.uniform(0.05, 0.4)
            bars["index"].append(number)
            bars["start"].append(at)
            bars["wall"].append(wall)
            bars["cpu"].append(wall * rng.random())
            bars["state"] += "f" if number == 50 else "s"
            at += wall + rng.uniform(0, 0.02)
        each["items"] = 100
    return samples.timeline(lanes, end=25.0)


def test_ten_thousand_items_stay_below_350_kb(seed: int) -> None:
    drawn = timeline.draw(ten_thousand_items(random.Random(seed)))
    assert len(drawn.encode()) < 350_000
    # One path has all bars of a lane, but what failed is drawn by itself.
    assert drawn.count('class="wall"') == 100 + 100


def many_items(lanes: int, items: int) -> Timeline:
    """Items of a millisecond that compute for half of it, back to back; one of them failed."""
    rows = [samples.lane("vm", at, 0) for at in range(lanes)]
    for each in rows:
        assert each["bars"]
        each["bars"] |= {
            "index": list(range(items)),
            "start": [at / 1000 for at in range(items)],
            "wall": [0.001] * items,
            "cpu": [0.0005] * items,
            "state": "s" * items,
        }
    assert rows[1]["bars"]
    rows[1]["bars"]["state"] = "s" * 700 + "f" + "s" * (items - 701)
    return samples.timeline(rows, end=items / 1000 * 2)


def test_bars_that_are_too_many_become_shares_of_time_and_no_failure_is_lost() -> None:
    few = thinned(many_items(2, 5000))
    assert not few["binned"] and few["lanes"][0]["bars"]
    document = thinned(many_items(2, 5001))
    assert document["binned"]
    for lane in document["lanes"]:
        bins = lane["bins"]
        assert bins and not lane["bars"]
        half = len(bins["busy"]) // 2
        # Busy in the first half of the time, and computing in half of that.
        assert set(bins["busy"][: half - 1]) == {100} and set(bins["busy"][half + 1 :]) == {0}
        assert set(bins["cpu"][: half - 1]) <= {50} and not any(bins["cpu"][half + 1 :])
    kept = document["lanes"][1]["bins"]
    assert kept and [(first, count) for _, first, count in kept["failed"]] == [(700, 1)]
    assert "item 700" in timeline.draw(document)


def test_bins_that_are_too_many_become_wider_and_no_failure_is_lost() -> None:
    document = samples.binned()
    lanes = document["lanes"] * 500
    document["lanes"] = lanes
    wide = thinned(document)["lanes"]
    assert sum(len(lane["bins"]["busy"]) for lane in wide if lane["bins"]) <= MOST_BINS
    assert wide[1]["bins"] and lanes[1]["bins"]
    assert sum(count for _, _, count in wide[1]["bins"]["failed"]) == 5
    before, after = lanes[1]["bins"]["busy"], wide[1]["bins"]["busy"]
    assert sum(after) / len(after) == pytest.approx(sum(before) / len(before), abs=2)


def test_a_bar_is_as_long_as_its_item_and_as_solid_as_it_computed() -> None:
    row = samples.lane("vm", 1, 0)
    row["bars"] = {
        **samples.lane("vm", 1, 2)["bars"],  # type: ignore[typeddict-item]
        "start": [0.0, 5.0],
        "wall": [2.0, 1.0],
        "cpu": [0.5, 1.0],
    }
    row["starts"] = []
    drawn = timeline.draw(samples.timeline([row], end=10.0), width=1154)
    # 1000 px for 10 s, and 16 px for a lane.
    assert 'class="wall" d="M148 16V0h199.2V16m300.8 0V0h99.2V16"' in drawn
    assert 'class="cpu" d="M148 16V12h199.2V16m300.8 0V0h99.2V16"' in drawn


def test_a_failed_item_is_seen_at_any_width() -> None:
    row = samples.lane("vm", 1, 3, states={1: "f"})
    assert row["bars"]
    row["bars"]["wall"] = [0.001, 0.0, 0.001]
    drawn = timeline.draw(samples.timeline([row], end=3600.0), width=360)
    failed = ElementTree.fromstring(drawn).find(".//*[@class='bad failed']/*[@class='frame']")
    assert failed is not None and float(failed.attrib["width"]) >= 2


def test_the_description_says_how_much_is_shown() -> None:
    document = samples.takeover()
    document["lanes_total"] = 40
    described = timeline.caption(document).description.replace("\u00a0", " ")
    assert "65 of 68 items on 5 of 40 lanes, a bar per item; 4 did not succeed." in described
    assert "takes over batch 0, keeps 40 of its 140 items at 11.2 s" in described


def test_a_thousand_takeovers_are_not_all_drawn_and_that_is_said() -> None:
    document = samples.takeover()
    many = [samples.mark("run_again", at / 100, "vm-1613", "again", 0) for at in range(1000)]
    document["marks"] = many
    assert timeline.draw(document).count('class="again"') == timeline.MOST_MARKS == 500
    described = timeline.caption(document).description.replace("\u00a0", " ").replace("\u202f", " ")
    assert "500 of 1 000 marks are drawn." in described


def test_names_with_markup_and_control_characters_are_text() -> None:
    arms = [replace(samples.ARMS[0], name=HOSTILE)]
    runs = [replace(samples.arm_runs()[0], name=HOSTILE)]
    document = samples.timeline([{**samples.lane(HOSTILE, 1, 2), "label": HOSTILE}])
    grid = replace(samples.GRID, row_name=HOSTILE, columns=(HOSTILE,) * 4)
    for drawn in (
        ratio_dots.draw(arms, 0.03, HOSTILE),
        stacked_parts.draw([replace(samples.PARTS[0], name=HOSTILE)]),
        heat_map.draw(grid),
        timeline.draw(document),
        timeline_arms.draw(runs),
        queue_curve.draw(samples.QUEUE, HOSTILE),
    ):
        assert "<script" not in drawn
        assert "\u202e" not in texts(drawn)
        drawn.encode()


def test_nothing_to_show_is_a_chart_too() -> None:
    empty = samples.timeline([], end=0.0)
    for drawn in (
        ratio_dots.draw([], 0.03, "sequential"),
        stacked_parts.draw([]),
        heat_map.draw(Grid("", "concurrency", (), (), {})),
        scaling_curve.draw([], None, "Nothing was run."),
        queue_curve.draw([], "queued batches"),
        queue_curve.draw_sparkline([], "queued batches"),
        share_bar.draw_progress([], 0),
        share_bar.draw_utilisation(0, 0, "CPUs"),
        timeline.draw(empty),
        timeline_arms.draw([]),
    ):
        ElementTree.fromstring(drawn)
        assert "nan" not in drawn.lower() and "inf" not in drawn.split("<desc>")[0]


@pytest.mark.parametrize("rounds", [(1.0,), (1e-6, 1e6), (1.0,) * 200])
def test_any_ratios_fit_on_the_axis(rounds: tuple[float, ...]) -> None:
    arm = ArmRatio("arm", rounds[0], min(rounds), max(rounds), rounds, "faster")
    root = ElementTree.fromstring(ratio_dots.draw([arm], 0.03, "sequential"))
    at = [float(each.attrib["cx"]) for each in root.iter() if each.attrib.get("class") == "dot"]
    assert len(at) == len(rounds)
    assert all(0 <= x <= 1160 for x in at)


def test_without_a_verdict_the_dots_stay_and_the_marks_go() -> None:
    arm = replace(samples.ARMS[2], verdict=None)
    drawn = ratio_dots.draw([arm], 0.03, "sequential")
    assert drawn.count('class="dot"') == len(arm.rounds)
    assert 'class="mark"' not in drawn and 'class="ci"' not in drawn


def test_a_difference_that_is_not_shown_is_hatched_and_pale() -> None:
    cells = samples.GRID.cells
    assert heat_map.draw(samples.GRID).count('class="none"') == 1
    unproven = {key: replace(cell, evidence="not shown") for key, cell in cells.items()}
    drawn = heat_map.draw(replace(samples.GRID, cells=unproven))
    assert drawn.count('class="none"') == len(cells)
    assert 'class="h5"' not in drawn


@pytest.mark.parametrize("law", [Law(1, 0.01, 0), Law(1, 0.3, 0.02), Law(1.1, 0, 0)])
def test_a_curve_stays_on_its_chart_beyond_what_was_measured(law: Law) -> None:
    drawn = scaling_curve.draw([Point(at, law(at)) for at in (1, 2, 4)], law)
    fits = [path for path in ElementTree.fromstring(drawn).iter() if "fit" in path.get("class", "")]
    assert len(fits) == 2
    for fit in fits:
        heights = [float(pair.split()[1]) for pair in fit.attrib["d"][1:].split("L")]
        assert min(heights) >= scaling_curve._TOP


def test_a_curve_ends_at_twice_what_was_measured() -> None:
    law = Law(1.0, 0.0, 0.0)
    drawn = scaling_curve.draw([Point(1, 1.0), Point(2, 2.0)], law)
    assert 'class="fit beyond"' in drawn
    refused = scaling_curve.draw([Point(1, 1.0), Point(2, 2.0)], None, "Too few points.")
    assert 'class="fit' not in refused and "Too few points." in refused


def test_small_parts_of_a_bar_are_seen_and_fit() -> None:
    drawn = share_bar.draw_progress([("succeeded", 999_999), ("failed", 1)], 1_000_000)
    root = ElementTree.fromstring(drawn)
    spans = [
        (float(each.attrib.get("x", 0)), float(each.attrib["width"]))
        for each in root
        if each.attrib.get("class") in ("succeeded", "failed")
    ]
    assert spans[1][1] >= 0.4
    assert sum(spans[1]) <= 100.001


def test_a_chart_as_a_file_has_its_style_and_hatches() -> None:
    drawn = as_file(heat_map.draw(samples.GRID), ".heat > .h1 { fill: blue }")
    root = ElementTree.fromstring(drawn)
    assert [each.tag.rpartition("}")[2] for each in root][:4] == ["title", "desc", "style", "defs"]
    assert root[2].text == ".heat > .h1 { fill: blue }"
