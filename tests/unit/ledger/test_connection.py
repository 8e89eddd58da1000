"""Which answers of Redis mean that the same may be asked again."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ResponseError

from batchpool.ledger.connection import is_temporary


@pytest.mark.parametrize(
    "error",
    [
        RedisConnectionError("refused"),
        OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        ResponseError("BUSY Redis is busy running a script."),
        ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
        # Redis 6.2, from within a script.
        ResponseError("ERR Error running script (call to f_1): @user_script:9: -OOM command not"),
    ],
)
def test_a_state_that_passes_is_no_reason_to_give_up(error: Exception) -> None:
    assert is_temporary(error)


@pytest.mark.parametrize(
    "error",
    [
        ResponseError("ERR unknown command 'LMOVE'"),
        ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        ValueError("BUSYBODY"),
    ],
)
def test_what_will_not_pass_is_not_tried_for_ever(error: Exception) -> None:
    assert not is_temporary(error)
