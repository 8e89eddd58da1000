"""Check that the extra of a command is installed."""

import sys
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from typing import ParamSpec

P = ParamSpec("P")

USAGE = 2

MODULES = {
    "worker": ("redis", "rq", "msgpack", "pydantic", "psutil"),
    "service": ("flask", "jsonschema", "prometheus_client"),
}
"""Which modules show that an extra is installed. `local` is all of them."""


def missing_modules(extra: str) -> list[str]:
    """Return the modules of `extra` that are not installed."""
    extras = list(MODULES) if extra == "local" else [extra]
    return [name for part in extras for name in MODULES[part] if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def needs_extra(extra: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Make a command end with exit code 2 and the line to install, unless `extra` is there."""

    def decorate(command: Callable[P, None]) -> Callable[P, None]:
        @wraps(command)
        def checked(*args: P.args, **kwargs: P.kwargs) -> None:
            if missing := missing_modules(extra):
                from batchpool.cli.output import print_error

                print_error(
                    f"`batchpool {command.__name__}` needs the extra [{extra}], missing here: "
                    f"{', '.join(missing)}. Install it: pip install 'batchpool[{extra}]'"
                )
                sys.exit(USAGE)
            command(*args, **kwargs)

        return checked

    return decorate
