"""The header of a block says what its records say, and one of a former version says less."""

from hypothesis import given

from batchpool.ledger.blocks.block_head import BlockHead
from batchpool.ledger.blocks.columns import Columns
from batchpool.model import RECORD_STATES, Outcome
from tests.unit.ledger.test_columns import outcomes


@given(outcomes())
def test_a_header_sums_up_its_block_and_survives_the_trip(made: list[Outcome]) -> None:
    head = BlockHead.parse(BlockHead.of(3, Columns.of(made), epoch_start_ns=5_000).dump().encode())
    assert (head.epoch, head.first, head.last) == (3, min(made)[0], max(made)[0])
    states = [outcome.state for outcome in made]
    assert head.counts == {state: states.count(state) for state in set(states)}
    assert head.start_ns == min(outcome.started_ns for outcome in made) - 5_000
    assert head.end_ns == max(o.started_ns + o.wall_ns for o in made) - 5_000
    assert head.wall_ns == sum(outcome.wall_ns for outcome in made)
    assert head.cpu_ns == sum(outcome.cpu_ns for outcome in made)
    assert all(head.has_any([state]) == (state in states) for state in RECORD_STATES)


def test_a_header_of_a_former_version_may_have_any_state() -> None:
    head = BlockHead.parse(b'{"e": 1, "lo": 0, "hi": 9}')
    assert head == BlockHead(1, 0, 9)
    assert all(head.has_any([state]) for state in RECORD_STATES)
