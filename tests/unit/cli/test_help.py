"""The help of every command fits a terminal of 80 columns."""

from collections.abc import Iterator

import click
import pytest

from batchpool.cli.main import main
from batchpool.schemas.comparison_requests import ComparisonRequest
from batchpool.schemas.job_requests import JobRequest


def commands(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(words), command
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from commands(each, (*words, name))


COMMANDS = dict(commands(main, ("batchpool",)))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_80_columns(name: str) -> None:
    width = {"terminal_width": 80, "max_content_width": 80}
    context = click.Context(COMMANDS[name], info_name=name, **width, **main.context_settings)
    lines = COMMANDS[name].get_help(context).splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...") and "Usage" not in line], (
        "a first line that is too long"
    )


def test_every_command_of_the_service_has_json() -> None:
    text = {"up", "worker", "demo", "doctor", "run", "completion", "report", "trace", "delete"}
    text |= {"values", "compare"}
    lacking = {
        name.split()[-1]
        for name, command in COMMANDS.items()
        if not any("--json" in option.opts for option in command.params)
    }
    assert lacking - {"batchpool"} <= text


def test_there_are_the_commands_that_the_documentation_names() -> None:
    found = {name.removeprefix("batchpool ") for name in COMMANDS}
    assert found >= {
        *("jobs", "job", "records", "values", "errors", "cancel", "retry", "delete", "report"),
        *("trace", "tasks", "backends", "workers", "lesson", "completion", "run", "submit"),
        *("compare list", "compare show", "compare cancel", "compare run"),
    }


def test_help_names_the_defaults_of_the_service() -> None:
    for name, model in (("submit", JobRequest), ("compare run", ComparisonRequest)):
        for option in COMMANDS[f"batchpool {name}"].params:
            field = model.model_fields.get(option.name or "")
            if field is None or not isinstance(field.default, (int, float, str)):
                continue
            about = getattr(option, "help", None) or ""
            number = field.default
            default = f"{number:g}" if isinstance(number, float) else str(number)
            default = str(option.name) if number is True else default
            assert f"[default: {default}]" in about, (name, option.name)
