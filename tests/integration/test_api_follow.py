"""Records as they are written: in the order of each batch, resumed exactly, ended with the job."""

import json
import threading
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import pytest

from batchpool.ledger import keys
from batchpool.ledger.blocks import written_records
from batchpool.ledger.ownership import Ending, Ownership, make_block
from batchpool.ledger.recovery import Recovery
from batchpool.ledger.values.job_entries import Tally
from batchpool.model import ExecutionSite, Outcome

SITE = ExecutionSite(4243, 4242, 7, "MainThread", 0)
FOLLOW = "/records?follow=1"


class Owner:
    """The owner of one batch, which writes blocks when the test says so."""

    def __init__(self, stage: Any, job_id: str, batch: int) -> None:
        self._claim = stage.claim(job_id, batch)
        self._ledger = Ownership(stage.redis)
        self._count = self._claim.tally.recorded
        self._blocks = 0

    def write(self, *indices: int, ending: Ending | None = None) -> None:
        self._count += len(indices)
        self._blocks += 1
        made = [Outcome(at, "succeeded", at * 10, None, SITE, 1000, 2000, 500) for at in indices]
        block = make_block(self._claim, self._blocks, made, 0)
        answer = self._ledger.flush(self._claim, block, Tally({"succeeded": self._count}), ending)
        assert answer == "ok"

    def cancel(self) -> None:
        """End the batch; its items without a record are cancelled."""
        assert self._ledger.end(self._claim, Ending("cancelled", {}, "cancelled"))


class Reader:
    """A client of one stream: what it got since the last cursor does not count."""

    def __init__(self, stage: Any, path: str, cursor: str | None = None, query: str = "") -> None:
        more = f"&after={cursor}" if cursor else ""
        self._response = stage.http.get(path + FOLLOW + query + more, buffered=False)
        assert self._response.status_code == 200, self._response.text
        assert self._response.mimetype == "application/x-ndjson"
        chunks = self._response.iter_encoded()
        self._lines: Iterator[dict[str, Any]] = chain.from_iterable(
            map(json.loads, chunk.decode().splitlines()) for chunk in chunks
        )
        self.cursor = cursor
        self.end: dict[str, Any] | None = None

    def pieces(self) -> Iterator[list[dict[str, Any]]]:
        """The records before each cursor."""
        records = []
        for line in self._lines:
            if "end" in line:
                assert records == [] and next(self._lines, None) is None
                self.end = line
            elif "cursor" in line:
                self.cursor = line["cursor"]
                if records:
                    yield records
                records = []
            else:
                records.append(line)

    def indices(self) -> list[int]:
        return [record["index"] for records in self.pieces() for record in records]

    def close(self) -> None:
        self._response.close()


@pytest.fixture
def job(stage: Any) -> str:
    """The id of a job of 6 items in 2 batches."""
    return str(stage.post(task="echo", items=list("abcdef"), batches=2)["id"])


def test_records_come_as_each_batch_writes_them_until_the_job_ends(stage: Any, job: str) -> None:
    path = f"/v1/jobs/{job}"
    reader = Reader(stage, path)
    pieces = reader.pieces()
    first, second = Owner(stage, job, 0), Owner(stage, job, 1)
    second.write(4)
    assert [record["index"] for record in next(pieces)] == [4]
    first.write(2)
    assert [record["index"] for record in next(pieces)] == [2]
    first.write(0, 1, ending=Ending("succeeded", {}))
    second.write(5, 3, ending=Ending("succeeded", {}))
    rest = [record["index"] for records in pieces for record in records]
    assert sorted(rest) == [0, 1, 3, 5] and rest.index(0) < rest.index(1)
    assert reader.end == {"end": "succeeded"}
    assert Reader(stage, path, reader.cursor).indices() == []


def test_a_record_that_is_followed_is_the_one_that_is_read(stage: Any, job: str) -> None:
    stage.run(job, 0)
    stage.run(job, 1, fail=frozenset([4]))
    path = f"/v1/jobs/{job}"
    records = stage.get(path + "/records")["records"]
    reader = Reader(stage, path)
    assert list(chain(*reader.pieces())) == records
    assert reader.end == {"end": "failed"}
    chosen = Reader(stage, path, query="&fields=item,wall_s&state=failed")
    assert list(chain(*chosen.pieces())) == [{"item": "e", "wall_s": 2e-6}]


@pytest.mark.parametrize("cut", range(6))
def test_a_stream_that_was_cut_goes_on_at_its_cursor(stage: Any, job: str, cut: int) -> None:
    path = f"/v1/jobs/{job}"
    stage.run(job, 0, order=lambda found: [[each] for each in found])
    stage.run(job, 1, order=lambda found: [[found[2]], found[:2]])
    reader = Reader(stage, path)
    before = [record["index"] for record in chain(*islice(reader.pieces(), cut))]
    reader.close()
    assert len(before) >= cut
    after = Reader(stage, path, reader.cursor).indices()
    assert before + after == [0, 1, 2, 5, 3, 4]


def test_what_a_new_owner_writes_follows_what_the_lost_one_wrote(stage: Any, job: str) -> None:
    stage.run(job, 1)
    reader = Reader(stage, f"/v1/jobs/{job}")
    pieces = reader.pieces()
    assert [record["index"] for record in next(pieces)] == [3, 4, 5]
    Owner(stage, job, 0).write(1)
    assert [(record["index"], record["epoch"]) for record in next(pieces)] == [(1, 1)]
    stage.redis.zadd(keys.LEASES, {f"{keys.job_key(job)}|0": 1})
    assert Recovery(stage.redis).expire_leases()
    Owner(stage, job, 0).write(0, 2, ending=Ending("succeeded", {}))
    assert [(record["index"], record["epoch"]) for record in next(pieces)] == [(0, 2), (2, 2)]
    assert list(pieces) == [] and reader.end == {"end": "succeeded"}


def test_items_that_never_ran_have_their_records_at_the_end(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(written_records, "BITS", 8)
    job = str(stage.post(task="echo", count=60, batches=2)["id"])
    path = f"/v1/jobs/{job}"
    owner = Owner(stage, job, 0)
    owner.write(7, 9, 29)
    stage.http.post(path + "/cancel")
    owner.cancel()
    found: list[int] = []
    cursor: str | None = None
    while piece := next((reader := Reader(stage, path, cursor)).pieces(), []):
        found += [record["index"] for record in piece]
        cursor = reader.cursor
        reader.close()
    assert len(found) == 60 and set(found) == set(range(60))
    records = {record["index"]: record for record in chain(*Reader(stage, path).pieces())}
    assert [records[index] for index in range(60)] == stage.get(path + "/records")["records"]
    failed = Reader(stage, path, query="&state=succeeded")
    assert failed.indices() == [7, 9, 29]


def test_a_stream_of_a_job_that_is_deleted_ends_with_a_line_that_says_so(
    stage: Any, job: str
) -> None:
    reader = Reader(stage, f"/v1/jobs/{job}")
    stage.run(job, 0)
    pieces = reader.pieces()
    assert len(next(pieces)) == 3
    stage.redis.flushall()
    assert list(pieces) == []
    assert reader.end == {"end": "gone", "detail": "the job was deleted or has expired"}


def test_a_job_that_expires_while_it_is_read_is_not_said_to_be_whole(stage: Any, job: str) -> None:
    stage.run(job, 0)
    stage.run(job, 1)
    reader = Reader(stage, f"/v1/jobs/{job}")
    pieces = reader.pieces()
    next(pieces)
    stage.redis.flushall()
    assert list(pieces) == [] and reader.end and reader.end["end"] == "gone"


def test_a_broken_block_is_left_out_and_the_rest_goes_on(stage: Any, job: str) -> None:
    stage.run(job, 0, order=lambda found: [[each] for each in found])
    stage.run(job, 1)
    stage.redis.lset(keys.batch_key(job, 0) + ":blocks", 1, b"rubbish")
    reader = Reader(stage, f"/v1/jobs/{job}")
    assert reader.indices() == [0, 2, 3, 4, 5]
    assert reader.end == {"end": "succeeded"}
    assert len(stage.get("/v1/broken")["broken"]) == 1


def test_streams_of_records_and_of_events_share_the_places(stage: Any, job: str) -> None:
    path = f"/v1/jobs/{job}"
    open_ones = [Reader(stage, path) for _ in range(3)]
    for other in (FOLLOW, "/events"):
        refused = stage.http.get(path + other)
        assert refused.status_code == 503 and refused.headers["Retry-After"] == "5"
    # Not one line was read from it: closing it must free its place all the same.
    open_ones.pop().close()
    Reader(stage, path).close()
    assert stage.http.get("/v1/jobs/" + "0" * 24 + FOLLOW).status_code == 404
    assert stage.http.get(path + FOLLOW + "&after=x").status_code == 422
    for reader in (*open_ones, Reader(stage, path)):
        reader.close()


def test_silence_is_filled_with_cursors_and_ended_by_a_stop(stage: Any, job: str) -> None:
    response = stage.http.get(f"/v1/jobs/{job}{FOLLOW}", buffered=False)
    chunks = response.iter_encoded()
    assert [list(json.loads(next(chunks))) for _ in range(3)] == [["cursor"]] * 3
    stage.app.extensions["batchpool"].stopping.set()
    thread = threading.Thread(target=lambda: list(chunks))
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    response.close()


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
def test_only_ndjson_follows(stage: Any, job: str, accept: str) -> None:
    refused = stage.http.get(f"/v1/jobs/{job}{FOLLOW}", headers={"Accept": accept})
    assert refused.status_code == 406
