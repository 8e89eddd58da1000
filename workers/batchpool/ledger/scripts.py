"""The Lua scripts of the ledger: each is one atomic step."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from batchpool.ledger.connection import UNREACHABLE, TemporarilyRefused, is_temporary
from batchpool.ledger.failpoints import failpoint

_FOLDER = files(__package__) / "lua"
_PRELUDE = (_FOLDER / "prelude.lua").read_text()


def mapping(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """The fields of a hash, which scripts answer as a list."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


class LuaScript:
    """The script `name`.lua, bound to a client; its first key is that of a job or comparison."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._name = name
        self._script = redis.register_script(_PRELUDE + (_FOLDER / f"{name}.lua").read_text())

    def __call__(self, job_key: str | bytes, args: Sequence[Any] = ()) -> Any:
        failpoint(f"before {self._name}")
        try:
            answer = self._script(keys=[job_key], args=args)
        except ResponseError as error:
            if is_temporary(error) and not isinstance(error, UNREACHABLE):
                raise TemporarilyRefused(str(error)) from error
            raise
        failpoint(f"after {self._name}")
        return answer
