"""Blocks of records as compressed columns; the ledger keeps them instead of a key per item.

A block is zlib over msgpack of one map. Columns that hold their default for the whole block are
left out; times are integer nanoseconds, since small differences compress well.

    i  index of the first record, then differences; left out when the indices are contiguous
    n  number of records          f  index of the first record
    s  position in RECORD_STATES per record      v  the values, as the text of a JSON list
    L  the execution sites                       l  position in L per record
    o  start since the epoch's start, first absolute, then differences
    w  wall, c  CPU               g  shared sum as seen, as the text of a JSON list
    e  {position: error}          a  {position: [attempt, tries]}
"""

import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from json import dumps, loads
from operator import sub
from typing import Any, NamedTuple

import msgpack

from batchpool.json_value import JsonObject
from batchpool.ledger.blocks.columns import Columns, is_uniform
from batchpool.ledger.blocks.compression import decompress
from batchpool.model import RECORD_STATES, ExecutionSite, Outcome

MOST_RECORDS = 10_000_000
MOST_BYTES = 256 << 20
"""What a block may hold: many times what a runner puts into one."""

_STATE_CODE = {state: code for code, state in enumerate(RECORD_STATES)}


def encode_block(outcomes: Sequence[Outcome], epoch_start_ns: int) -> bytes:
    """Pack outcomes into one block, where they are sorted by index.

    Args:
        epoch_start_ns: on the monotonic clock of the machine that made the outcomes.
    """
    return encode_columns(Columns.of(outcomes), epoch_start_ns)


def encode_columns(made: Columns, epoch_start_ns: int) -> bytes:
    """Pack the columns of outcomes into one block; as `encode_block`."""
    first, count = made.indices[0], len(made.indices)
    starts = _differences(made.starts_ns)
    starts[0] -= epoch_start_ns
    columns: dict[str, Any] = {
        "n": count,
        "f": first,
        "v": dumps(made.values, separators=(",", ":")),
        "L": [made.sites[0]],
        "o": starts,
        "w": made.walls_ns,
        "c": made.cpus_ns,
    }
    if made.indices[-1] - first != count - 1:
        columns["i"] = _differences(made.indices)
    if made.states.count("succeeded") != count:
        columns["s"] = bytes(_STATE_CODE[state] for state in made.states)
        columns["e"] = {at: error for at, error in enumerate(made.errors) if error}
    if not is_uniform(made.sites):
        table = {site: code for code, site in enumerate(dict.fromkeys(made.sites))}
        columns["L"] = list(table)
        columns["l"] = [table[site] for site in made.sites]
    if made.seen.count(None) != count:
        columns["g"] = dumps(made.seen, separators=(",", ":"))
    if made.attempts.count(1) != count:
        again = [at for at, attempt in enumerate(made.attempts) if attempt > 1]
        columns["a"] = {at: (made.attempts[at], made.tries[at]) for at in again}
    return zlib.compress(msgpack.packb(columns), 1)


def decode_block(
    block: bytes, epoch_start_ns: int = 0, most: int = MOST_RECORDS
) -> Iterator[Outcome]:
    """The outcomes of a block, by index; starts count from `epoch_start_ns`.

    Args:
        most: a block that claims to have more is broken.

    Raises:
        ValueError: of that, and other errors of reading a block that is broken.
    """
    columns, indices, states = _unpack(block, most)
    count = columns["n"]
    table = [ExecutionSite(*site) for site in columns["L"]]
    sites = columns.get("l") or bytes(count)
    seen = loads(columns["g"]) if "g" in columns else [None] * count
    values = loads(columns["v"])
    starts = accumulate(columns["o"])
    errors, attempts = columns.get("e", {}), columns.get("a", {})
    for at, start in enumerate(starts):
        attempt, tries = attempts.get(at, (1, ()))
        yield Outcome(
            index=indices[at],
            state=RECORD_STATES[states[at]],
            value=values[at],
            error=errors.get(at),
            site=table[sites[at]],
            started_ns=start + epoch_start_ns,
            wall_ns=columns["w"][at],
            cpu_ns=columns["c"][at],
            sum_seen=seen[at],
            attempt=attempt,
            tries=tuple(tries),
        )


class BlockTimes(NamedTuple):
    """Where and when the records of a block ran, as columns; times are nanoseconds.

    `states` are positions in RECORD_STATES, `sites` in `site_table`; `attempts` are those above 1,
    by position; `seen` the shared sums, None if there are none.
    """

    indices: "array[int]"
    states: bytes
    site_table: Sequence[ExecutionSite]
    sites: Sequence[int]
    starts: "array[int]"
    walls: "array[int]"
    cpus: "array[int]"
    attempts: Mapping[int, int]
    seen: Sequence[int | float | None] | None


def decode_times(block: bytes, most: int = MOST_RECORDS) -> BlockTimes:
    """The times of a block, without its values; starts count from that of its epoch.

    Raises:
        ValueError: as `decode_block`.
    """
    columns, indices, states = _unpack(block, most)
    table = [ExecutionSite(*site) for site in columns["L"]]
    sites = columns.get("l") or bytes(columns["n"])
    if not 0 <= min(sites) <= max(sites) < len(table) or max(states) >= len(RECORD_STATES):
        raise ValueError("a site or state of the block is none of its table")
    return BlockTimes(
        indices=array("I", indices),
        states=states,
        site_table=table,
        sites=sites,
        starts=array("q", accumulate(columns["o"])),
        walls=array("q", columns["w"]),
        cpus=array("q", columns["c"]),
        attempts={at: attempt for at, (attempt, _) in columns.get("a", {}).items()},
        seen=loads(columns["g"]) if "g" in columns else None,
    )


class BlockValues(NamedTuple):
    """The values of a block; `states` are positions in RECORD_STATES."""

    indices: Sequence[int]
    states: bytes
    values: list[Any]


def decode_values(block: bytes, most: int = MOST_RECORDS) -> BlockValues:
    """The values of a block, without all else.

    Raises:
        ValueError: as `decode_block`.
    """
    columns, indices, states = _unpack(block, most)
    values = loads(columns["v"])
    if not isinstance(values, list) or len(values) != len(indices):
        raise ValueError("the block has not as many values as records")
    return BlockValues(indices, states, values)


def _unpack(block: bytes, most: int) -> tuple[JsonObject, Sequence[int], bytes]:
    """The columns of a block, its indices and its states."""
    columns = msgpack.unpackb(decompress(block, MOST_BYTES), strict_map_key=False)
    count, first = columns["n"], columns["f"]
    lengths = {len(columns[name]) for name in "wcol" if name in columns}
    if not 0 < count <= most or lengths != {count}:
        raise ValueError(f"{count} records are said to be in the block")
    indices = list(accumulate(columns["i"])) if "i" in columns else range(first, first + count)
    return columns, indices, columns.get("s") or bytes(count)


def _differences(numbers: Sequence[int]) -> list[int]:
    return [numbers[0], *map(sub, numbers[1:], numbers)]
