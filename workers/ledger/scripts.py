"""The Lua scripts of the ledger: each is one step that happens whole or not at all."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from workers.ledger.connection import UNREACHABLE, Refused, passes
from workers.ledger.killpoints import reach

_FOLDER = files(__package__) / "lua"
_PRELUDE = (_FOLDER / "prelude.lua").read_text()


class Step:
    """The script `name`.lua, bound to a client; its first key is that of the job."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._name = name
        self._script = redis.register_script(_PRELUDE + (_FOLDER / f"{name}.lua").read_text())

    def __call__(self, job_key: str | bytes, args: Sequence[Any] = ()) -> Any:
        reach(f"before {self._name}")
        try:
            answer = self._script(keys=[job_key], args=args)
        except ResponseError as error:
            if passes(error) and not isinstance(error, UNREACHABLE):
                raise Refused(str(error)) from error
            raise
        reach(f"after {self._name}")
        return answer
