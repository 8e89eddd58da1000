"""Write docs/configuration.md from the settings that the code declares: `make docs`."""

from collections.abc import Iterable
from pathlib import Path

from batchpool.api.settings import ApiSettings
from batchpool.settings import (
    TASK_SETTINGS,
    ReconcilerSettings,
    ServiceSettings,
    Setting,
    StackSettings,
    WorkerSettings,
    declared_settings,
)

PAGE = Path(__file__).with_name("configuration.md")
HEAD = ("| variable | default | allowed | meaning |", "| --- | --- | --- | --- |")

INTRODUCTION = """\
Everything is configured by environment variables. A bad value ends the process at its start with a
message that names the variable and what is allowed. Durations are in seconds. `docker-compose.yml`
and `batchpool up` set what their processes need; all else has its default. Compose passes on what
is set in the shell or in a file `.env` beside it; its workers get all of that file."""

# Read by other programs, or as they are, without bounds.
PRELOAD = Setting(
    "BATCHPOOL_PRELOAD",
    None,
    "do not set it: it names the modules that the worker's fork server imports",
    default_text="set by the worker",
)
COMMAND_LINE = (
    Setting(
        "BATCHPOOL_URL",
        "http://127.0.0.1:8000",
        "the service that `submit`, `watch` and the other commands talk to",
    ),
    Setting(
        "XDG_STATE_HOME",
        "~/.local/state",
        "`batchpool up` keeps its jobs in the folder `batchpool` below it; `--data DIR` names "
        "another",
    ),
    Setting("NO_COLOR", None, "if set, output has no colours", default_text="none"),
    Setting(
        "BATCHPOOL_STACK",
        None,
        "do not set it: it marks the processes of one stack, so that a later one finds leftovers",
        default_text="set by `batchpool up`",
    ),
)
COMPOSE = (
    Setting(
        "BATCHPOOL_HOST_PORT",
        8000,
        "the port on 127.0.0.1 of this machine; `0` takes a free one (`docker compose port api "
        "8000` shows it)",
    ),
    Setting(
        "BATCHPOOL_TASKS",
        "./examples/tasks",
        "the folder that the workers get as `BATCHPOOL_TASKS_DIR`, read-only",
    ),
    Setting(
        "BATCHPOOL_IMAGE_TAG",
        "latest",
        "the tag of the images `batchpool-worker` and `batchpool-service`",
    ),
    Setting(
        "EXTRA_REQUIREMENTS",
        None,
        "packages that tasks need, as for `pip install`; built into the image of the workers",
        default_text="none",
    ),
)
TESTS = (
    Setting(
        "BATCHPOOL_REQUIRE_DOCKER",
        None,
        "`1`: tests that need Docker fail without one, instead of being skipped",
        default_text="none",
    ),
    Setting(
        "BATCHPOOL_TESTING`, `BATCHPOOL_KILL_POINT`, `BATCHPOOL_KILL_MARK",
        None,
        "end a process at a named step; refused unless all three are set",
        default_text="none",
    ),
)
AFTER_COMMAND_LINE = """\
`batchpool up` uses `REDIS_URL` if it is set, else `valkey-server` or `redis-server` (6.2 or newer)
on `PATH`, else the bundled Valkey; `batchpool doctor` shows which one and why."""


def own(owner: type[StackSettings]) -> list[Setting]:
    """The settings that a class adds to those of its base."""
    base = owner.__base__
    inherited = declared_settings(base) if base and issubclass(base, StackSettings) else {}
    return [each for name, each in declared_settings(owner).items() if name not in inherited]


def table(settings: Iterable[Setting]) -> str:
    """One row per setting."""
    rows = [
        f"| `{each.variable}` | {_default(each)} | {each.allowed} | {each.text} |"
        for each in settings
    ]
    return "\n".join([*HEAD, *rows])


def _default(each: Setting) -> str:
    return each.default_text or f"`{each.default}`"


def render() -> str:
    """The whole page."""
    sections = (
        ("All processes", table(own(StackSettings))),
        (
            "Workers (`python -m batchpool.worker`, `batchpool worker`)",
            table([*own(WorkerSettings), *TASK_SETTINGS, PRELOAD]),
        ),
        (
            "API (`python -m batchpool.api`)",
            table([*own(ApiSettings), *own(ServiceSettings)]),
        ),
        ("Reconciler (`python -m batchpool.reconciler`)", table(own(ReconcilerSettings))),
        (
            "Command line and local stack (`batchpool`)",
            f"{table(COMMAND_LINE)}\n\n{AFTER_COMMAND_LINE}",
        ),
        ("Compose", table(COMPOSE)),
        ("Tests", table(TESTS)),
    )
    made = "<!-- Made by `make docs` from the declarations in the code; do not edit it here. -->"
    parts = ["# Configuration", made, INTRODUCTION]
    parts += [f"## {title}\n\n{body}" for title, body in sections]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render())
