"""Records survive the trip into a block and back; bitmaps say what SETBIT would."""

from hypothesis import given
from hypothesis import strategies as st

from batchpool.ledger.blocks.bitmap import bit_segments, set_bits
from batchpool.ledger.blocks.columns import Columns
from batchpool.ledger.blocks.record_codec import (
    NO_ROOM,
    RecordColumns,
    encode_block,
    encode_columns,
)
from batchpool.model import RECORD_STATES, ExecutionSite, FailedAttempt, Outcome, TaskError

LANES = [
    ExecutionSite(10, 9, 1, "MainThread", 0),
    ExecutionSite(11, 9, 2, "pool_0", 0),
    ExecutionSite(11, 9, 3, "pool_1", 2),
]
ERROR = TaskError(type="ValueError", message="no", traceback="Traceback")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@st.composite
def outcomes(draw: st.DrawFn) -> list[Outcome]:
    indices = draw(st.lists(st.integers(0, 1_000_000), unique=True, min_size=1, max_size=20))
    return [draw(_outcome(index)) for index in indices]


def _outcome(index: int) -> st.SearchStrategy[Outcome]:
    return st.builds(
        Outcome,
        index=st.just(index),
        state=st.sampled_from(RECORD_STATES),
        value=JSON,
        error=st.none() | st.just(ERROR),
        site=st.sampled_from(LANES),
        started_ns=st.integers(5_000, 10**15),
        wall_ns=st.integers(0, 10**15),
        cpu_ns=st.integers(0, 10**15),
        sum_seen=st.none() | st.integers(),
        attempt=st.just(1),
        tries=st.just(()),
    )


def decode(block: bytes, epoch_start_ns: int) -> list[Outcome]:
    made = RecordColumns(block, "vLlowcgea")
    columns = (
        made.indices,
        made.states(),
        made.values(),
        made.errors(),
        made.sites(),
        (start_ns + epoch_start_ns for start_ns in made.starts_ns()),
        made.walls_ns(),
        made.cpus_ns(),
        made.sums_seen(),
        (attempt for attempt, _ in made.attempts()),
        (tuple(tries) for _, tries in made.attempts()),
    )
    return list(map(Outcome, *columns))


@given(outcomes())
def test_a_block_gives_back_what_was_put_in_by_index(made: list[Outcome]) -> None:
    block = encode_block(made, epoch_start_ns=5_000)
    # An error belongs to a record that did not succeed.
    expected = [
        o if o.state != "succeeded" or not o.error else o._replace(error=None)
        for o in sorted(made, key=lambda o: o.index)
    ]
    found = decode(block, 5_000)
    if any(o.state != "succeeded" for o in made):
        expected = sorted(made, key=lambda o: o.index)
    assert found == expected


def test_tries_of_a_retried_item_are_kept() -> None:
    tries = (FailedAttempt(error=ERROR, wall_s=0.5), FailedAttempt(error=ERROR, wall_s=0.25))
    made = [Outcome(3, "succeeded", 1, None, LANES[0], 10, 5, 5, None, 3, tries)]
    assert decode(encode_block(made, 0), 0) == made


def test_logs_stand_beside_their_records() -> None:
    made = Columns.of([Outcome(at, "succeeded", 1, None, LANES[0], 10, 5, 5) for at in range(3)])
    without = encode_columns(made, 0)
    block = encode_columns(made, 0, {0: "printed ü\n", 2: None})
    assert RecordColumns(block, "t").logs() == ["printed ü\n", None, NO_ROOM]
    assert RecordColumns(without, "t").logs() == [None] * 3
    assert encode_columns(made, 0, {}) == without


def test_a_block_of_no_ops_is_small() -> None:
    made = [
        Outcome(i, "succeeded", i, None, LANES[0], 1500 * i + i * i % 251, 900 + i % 97, 400)
        for i in range(4096)
    ]
    assert len(encode_block(made, 0)) / len(made) <= 24


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_a_run_of_positions_is_one_segment_of_just_these_bits(first: int, count: int) -> None:
    ((offset, piece),) = bit_segments(range(first, first + count))
    assert set(set_bits(bytes(offset) + piece)) == set(range(first, first + count))
    assert len(piece) == ((first + count - 1) >> 3) - (first >> 3) + 1


@given(st.sets(st.integers(0, 50_000), min_size=1, max_size=200))
def test_segments_set_just_the_bits_that_were_asked_for(positions: set[int]) -> None:
    bitmap = bytearray(6251)
    touched: set[int] = set()
    for offset, piece in bit_segments(sorted(positions)):
        covered = set(range(offset, offset + len(piece)))
        assert not covered & touched
        touched |= covered
        bitmap[offset : offset + len(piece)] = piece
    assert set(set_bits(bytes(bitmap))) == positions
