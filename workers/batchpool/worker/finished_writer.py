"""Write the records that a runner had made, and not written, when its batch was over."""

import logging
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from redis.exceptions import ResponseError

from batchpool.execution.item_logs import ItemLogs
from batchpool.ledger.broken import UNPARSABLE
from batchpool.ledger.ownership import Ownership, new_nonce
from batchpool.ledger.values.job_entries import Owner
from batchpool.runner.record_writer import OwnershipLost, RecordWriter
from batchpool.worker.claimed_batch import ClaimedBatch

log = logging.getLogger("batchpool.worker")


def write_finished(
    ownership: Ownership,
    owned: ClaimedBatch,
    owner: Owner,
    codes: str,
    retry: Callable[[Callable[[], Any]], Any],
) -> None:
    """Write the kept records of a batch whose runner was killed and has no successor.

    Under a claim of its own, so that the ledger takes nothing that the runner had sent and that has
    not arrived yet: its tally would not count these. What items printed is gone with the runner.

    Args:
        retry: calls a step, again while Redis is unreachable.
    """
    owned.note_recorded(retry(lambda: ownership.recorded(owned.claim)))
    if not owned.unrecorded():
        return
    old, claimed_ns, nonce = owned.claim, monotonic_ns(), new_nonce()
    claim = retry(
        lambda: ownership.claim(
            old.job_id, old.batch, owner, old, codes, nonce=nonce, was_stopped=True
        )
    )
    if isinstance(claim, str):
        return
    owned.renew(claim, claimed_ns)
    try:
        writer = RecordWriter(ownership, claim, claimed_ns, running=lambda: 0, logs=ItemLogs())
        writer.buffer.add(owned.unrecorded())
        retry(writer.flush)
    except OwnershipLost:
        return
    except (ResponseError, *UNPARSABLE) as error:
        # What the ledger has of the batch is broken: its end must be written all the same.
        log.error("finished records of %s/%d were lost: %s", old.job_id, old.batch, error)
