"""From what was typed to a comparison, and from its document to what is printed."""

import io
from typing import Any

import click
import pytest
from rich.console import Console

from batchpool.cli.arguments import comparison_request, parse_arm, read_document
from batchpool.cli.comparison.output import follow_comparison, print_comparison
from batchpool.client.comparisons import Comparison
from batchpool.client.resources import Event

NOTHING: dict[str, Any] = {
    "items": None,
    "lines": None,
    "count": None,
    "arms": (),
    "params": (),
    "labels": (),
    "rounds": None,
}


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("sequential", {"backend": "sequential"}),
        ("thread-pool:4", {"backend": "thread-pool", "concurrency": 4}),
        ("process-pool:2x4", {"backend": "process-pool", "batches": 2, "concurrency": 4}),
        (
            "process-pool:2,pool=fresh,chunksize=3,name=mine",
            {
                "backend": "process-pool",
                "concurrency": 2,
                "pool": "fresh",
                "chunksize": 3,
                "name": "mine",
            },
        ),
    ],
)
def test_an_arm_is_a_backend_with_its_shape(text: str, arm: dict[str, Any]) -> None:
    assert parse_arm(text) == arm


@pytest.mark.parametrize("text", ["", ":4", "thread-pool:four", "thread-pool:4x", "a:1,pool"])
def test_an_arm_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError):
        parse_arm(text)


def test_options_win_over_the_file() -> None:
    document = {"task": "echo", "items": [1], "rounds": 6, "params": {"a": 1, "b": 2}}
    given = NOTHING | {"count": 4, "rounds": 9, "arms": ("sequential",), "params": ("b=3",)}
    assert comparison_request("sleep", document, given) == {
        "task": "sleep",
        "count": 4,
        "rounds": 9,
        "arms": [{"backend": "sequential"}],
        "params": {"a": 1, "b": 3},
    }
    assert comparison_request(None, document, dict(NOTHING)) == document


def test_what_names_no_task_or_two_sources_is_refused() -> None:
    with pytest.raises(click.UsageError, match="TASK"):
        comparison_request(None, {}, dict(NOTHING))
    with pytest.raises(click.UsageError, match="give one of"):
        comparison_request("echo", {}, NOTHING | {"count": 1, "items": io.StringIO("[1]")})


@pytest.mark.parametrize("params", [None, [1], "a"])
def test_params_are_added_to_an_object_only(params: Any) -> None:
    given = NOTHING | {"params": ("a=1",)}
    with pytest.raises(click.UsageError, match="must be an object"):
        comparison_request("echo", {"params": params}, given)


@pytest.mark.parametrize("text", ["[]", "{", "5"])
def test_a_file_that_holds_no_object_is_refused(text: str) -> None:
    source = io.StringIO(text)
    source.name = "order.json"
    with pytest.raises(click.UsageError, match=r"order\.json"):
        read_document(source)


def document(**changes: Any) -> dict[str, Any]:
    arm = {
        "index": 0,
        "name": "sequential",
        "median_s": 0.5,
        "mad_s": 0.01,
        "speedup": None,
        "ratio": None,
        "verdict": None,
        "parts": {"cpu_s": 0.4, "idle_s": 0.0},
    }
    faster = arm | {
        "index": 1,
        "name": "threads [4]",
        "speedup": {"value": 2.0, "low": 1.9, "high": 2.1},
        "ratio": {"p_adjusted": 0.03},
        "verdict": "faster",
        "parts": None,
    }
    return {
        "id": "c1",
        "state": "succeeded",
        "spec": {"task": "echo", "items": {"count": 4}, "rounds": 6, "seed": 1, "reference": 0},
        "progress": {"disturbed": 2},
        "environment": {"python": "3.14.1", "gil": False, "cpus": 2.0},
        "arms": [arm, faster],
        "guard": [{"kind": "x", "arm": None, "message": "nobody [knows]"}],
        "warnings": [{"kind": "y", "arm": "sequential", "message": "short"}],
        "conclusion": ["Take threads [4]."],
    } | changes


def printed(shown: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_comparison(console, Comparison(shown))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_the_conclusion_comes_first_and_every_arm_has_a_line() -> None:
    lines = printed(document()).splitlines()
    assert lines[0] == "Take threads [4]."
    (reference,) = [line for line in lines if line.startswith("sequential  ")][:1]
    assert "500.0 ms" in reference and "reference" in reference
    assert any("threads [4]" in line and "1.90 – 2.10" in line for line in lines)
    assert any("sequential" in line and "80.0%" in line for line in lines)
    assert "  nobody [knows]" in lines and "  sequential: short" in lines
    assert "3.14.1 without GIL, 2 CPUs; 2 disturbed runs were repeated" in lines[-1]


def test_one_without_results_is_its_conclusion_alone() -> None:
    shown = document(state="cancelled", conclusion=["Cancelled."], environment=None)
    text = printed(shown | dict.fromkeys(("arms", "guard", "warnings")))
    assert text.startswith("Cancelled.\ncomparison c1; echo × 4")


def event(state: str, waits_for: str | None, kind: str | None = None, arm: str = "a") -> Event:
    progress = {"waits_for": waits_for, "kind": kind, "runs": 4, "done": 0}
    progress |= {"round": 1, "rounds": 2, "arm": arm}
    return Event("1-0", "run", {"state": state, "progress": progress})


def test_the_bar_shows_the_name_of_an_arm_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    follow_comparison([event("running", None, "sample", arm="[/warm] :x: [b]")])
    assert "round 1/2: [/warm] :x: [b]" in capsys.readouterr().err


def test_what_is_waited_for_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    follow_comparison(
        [
            event("queued", "its turn"),
            event("running", "an idle worker"),
            event("running", "an idle worker"),
            *(event("running", None, kind) for kind in ("solo", "warmup", "sample", None)),
        ]
    )
    assert capsys.readouterr().err == "waits for an idle worker\n"
