"""Messages to workers: what is encoded is what is decoded."""

from typing import Any

import pytest
from rq.job import Job

from batchpool.ledger.reservations import WorkerSlot
from batchpool.queue.messages import (
    Envelope,
    Release,
    Reserve,
    RunBatch,
    decode,
    encode,
    is_about_a_slot,
    reserve_id,
    rq_id,
)

SLOT = WorkerSlot("c" * 24, 3, "nonce")


def _job(envelope: Envelope) -> Job:
    job = Job(envelope.rq_id, connection=object(), serializer="json")
    job._func_name, job._args = envelope.function, envelope.args
    return job


@pytest.mark.parametrize("message", [Reserve(SLOT), Release(SLOT)])
def test_a_message_about_a_slot_survives_the_way_through_rq(message: Reserve | Release) -> None:
    envelope = encode(message)
    decoded = decode(_job(envelope))
    assert decoded == message and type(decoded) is type(message)
    assert is_about_a_slot(envelope.rq_id)


def test_the_id_of_a_batch_says_everything() -> None:
    name = rq_id("a" * 24, 7)
    assert decode(_job(Envelope(name, "os.system", ["rm"]))) == RunBatch("a" * 24, 7)
    assert not is_about_a_slot(name)


def test_an_offer_is_found_by_its_slot_alone() -> None:
    assert encode(Reserve(SLOT)).rq_id == reserve_id(SLOT.comparison_id, SLOT.slot)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        ("os.system", ["rm"]),
        ("batchpool.worker.rq_worker.reserve", ["c", "no number", "nonce"]),
        ("batchpool.worker.rq_worker.other", ["c", 1, "nonce"]),
    ],
)
def test_anything_else_is_no_message(function: str, args: list[Any]) -> None:
    assert decode(_job(Envelope("x", function, args))) is None
