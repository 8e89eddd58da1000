"""The command that repeats a comparison orders what was ordered."""

import shlex
from dataclasses import replace

from batchpool.cli.arguments import parse_arm
from batchpool.comparisons.command_line import repeat_command
from batchpool.jobs.items_digest import summarize_items
from batchpool.ledger.values.comparison_entries import ArmSpec
from tests.support.comparison_specs import comparison_spec

ARMS = (
    ArmSpec("sequential", 1, 1, "sequential"),
    ArmSpec("process-pool", 2, 3, "mine", "map", 5, "fork", "fresh"),
    ArmSpec("threading", 4, 1, "threading 4", shared_sum="locked"),
)


def words(**changes: object) -> list[str]:
    spec = comparison_spec(arms=ARMS, items=summarize_items(range(2)), **changes)
    return shlex.split(repeat_command(spec))


def test_the_arms_are_read_as_they_were() -> None:
    found = words()
    texts = [found[at + 1] for at, word in enumerate(found) if word == "--arm"]
    for text, arm in zip(texts, ARMS, strict=True):
        read = ArmSpec(**{"dispatch": None} | parse_arm(text))
        assert replace(read, name="") == replace(arm, name="")
    assert ["name=mine" in text for text in texts] == [False, True, False]


def test_params_and_conditions_survive_a_shell() -> None:
    params = {"text": "it's $HOME", "list": [1, {"a": None}]}
    found = words(params=params, fail_unless=("mine > 1.5 * sequential",))
    assert 'text="it\'s $HOME"' in found and 'list=[1, {"a": null}]' in found
    assert found[-2:] == ["--fail-unless", "mine > 1.5 * sequential"]
    assert found[:5] == ["batchpool", "compare", "echo", "--count", "2"]


def test_items_of_its_own_are_a_file() -> None:
    spec = comparison_spec(items=summarize_items(["a", "b"]))
    assert "--items items.json" in repeat_command(spec)
