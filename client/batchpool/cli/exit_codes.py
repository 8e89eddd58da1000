"""The exit codes of the command: which exception ends in which, and what Ctrl-C prints."""

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


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn exceptions into a message on stderr and an exit code."""
    from batchpool.cli.output import print_error

    try:
        yield
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
