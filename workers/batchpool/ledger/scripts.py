"""The Lua scripts of the ledger: each is one atomic step."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

from batchpool.ledger.connection import (
    UNREACHABLE,
    TemporarilyRefused,
    is_temporary,
    round_trips,
)
from batchpool.ledger.failpoints import failpoint

_FOLDER = files(__package__) / "lua"
_PRELUDE = (_FOLDER / "prelude.lua").read_text()


def mapping(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """The fields of a hash, which scripts answer as a list."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def counted_words(commands: Iterable[Sequence[Any]]) -> list[Any]:
    """Commands as arguments of a script that carries them out: each after its number of words."""
    return [word for words in commands for word in (len(words), *words)]


class LuaScript:
    """The script `name`.lua, bound to a client; its first key is that of a job or comparison."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._name = name
        self._exchange = round_trips(redis)
        self._script = redis.register_script(_PRELUDE + (_FOLDER / f"{name}.lua").read_text())

    def command(self, job_key: str | bytes, args: Sequence[Any] = ()) -> list[Any]:
        """The step as a command; a server that does not know the script answers NOSCRIPT."""
        return ["EVALSHA", self._script.sha, 1, job_key, *args]

    def __call__(self, job_key: str | bytes, args: Sequence[Any] = ()) -> Any:
        failpoint(f"before {self._name}")
        try:
            (answer,) = self._exchange(self.command(job_key, args))
            if isinstance(answer, NoScriptError):
                # The server is new, or was emptied.
                answer = self._script(keys=[job_key], args=args)
            if isinstance(answer, ResponseError):
                raise answer
        except ResponseError as error:
            if is_temporary(error) and not isinstance(error, UNREACHABLE):
                raise TemporarilyRefused(str(error)) from error
            raise
        failpoint(f"after {self._name}")
        return answer
