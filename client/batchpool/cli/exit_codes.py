"""The exit codes of the command: which exception ends in which, and what Ctrl-C prints."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from batchpool.cli.extras import USAGE
from batchpool.client.errors import (
    ApiError,
    BatchpoolError,
    InvalidInput,
    Unavailable,
    Unreachable,
    WaitTimeout,
)

JOB_FAILED = 1
UNREACHABLE = 3
NOT_PROVEN = 4
INTERRUPTED = 130
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn exceptions into a message on stderr and an exit code."""
    from batchpool.cli.output import print_error

    try:
        yield
        if sys.stdout is not None:
            # Here, not at the exit of the interpreter, which would end with a code of its own.
            sys.stdout.flush()
    except (Unreachable, Unavailable, WaitTimeout) as error:
        hint = "; `batchpool up` starts one here" if isinstance(error, Unreachable) else ""
        print_error(f"{error}{hint}")
        sys.exit(UNREACHABLE)
    except (ApiError, InvalidInput) as error:
        print_error(str(error))
        sys.exit(USAGE)
    except BatchpoolError as error:
        print_error(str(error))
        sys.exit(JOB_FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        print_error(f"the output cannot be written: {error.strerror}")
        # What is still in its buffer must not be tried once more at the exit of the interpreter.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(JOB_FAILED)


@contextmanager
def way_on(kind: str, resource_id: str, hint: str) -> Iterator[None]:
    """On Ctrl-C, say that the job or comparison goes on, and how to follow or cancel it."""
    from batchpool.cli.output import stderr_console

    try:
        yield
    except KeyboardInterrupt:
        text = (
            f"{kind} {resource_id} goes on. {hint}; POST /v1/{kind}s/{resource_id}/cancel ends it."
        )
        stderr_console().print(text, highlight=False, markup=False, soft_wrap=True)
        raise
