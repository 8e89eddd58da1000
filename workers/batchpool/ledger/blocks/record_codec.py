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
    t  {position: log}, nil for one that the batch had no room for
"""

import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from json import dumps, loads
from operator import sub
from typing import Any, NamedTuple, NoReturn

import msgpack

from batchpool.json_value import JsonObject
from batchpool.ledger.blocks.columns import Columns, is_uniform
from batchpool.ledger.blocks.compression import decompress
from batchpool.model import (
    RECORD_STATES,
    ExecutionSite,
    FailedAttempt,
    Outcome,
    RecordState,
    TaskError,
)

MOST_RECORDS = 10_000_000
MOST_BYTES = 256 << 20
"""What a block may hold: many times what a runner puts into one."""

Logs = Mapping[int, str | None]
"""What items printed, by position in a block; None where the batch had no room for it."""

NO_ROOM = "… not kept: the logs of the batch had reached 1 MiB …\n"

_ALWAYS = "nfis"
_STATE_CODE = {state: code for code, state in enumerate(RECORD_STATES)}


def encode_block(outcomes: Sequence[Outcome], epoch_start_ns: int) -> bytes:
    """Pack outcomes into one block, where they are sorted by index.

    Args:
        epoch_start_ns: on the monotonic clock of the machine that made the outcomes.
    """
    return encode_columns(Columns.of(outcomes), epoch_start_ns)


def encode_columns(made: Columns, epoch_start_ns: int, logs: Logs | None = None) -> bytes:
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
    if logs:
        columns["t"] = logs
    return zlib.compress(msgpack.packb(columns), 1)


class RecordColumns:
    """The columns of one block, of which only the wanted ones are decoded.

    Args:
        wanted: letters of those besides the indices and states.
        most: a block that claims to have more records is broken.

    Raises:
        ValueError: of that, and other errors of reading a block that is broken; each column, when
            it is first asked for.
    """

    def __init__(self, block: bytes, wanted: str, most: int = MOST_RECORDS) -> None:
        self._raw, self.indices, self.state_codes = _unpack(block, most, wanted)

    def states(self) -> list[RecordState]:
        return [RECORD_STATES[code] for code in self.state_codes]

    def values(self) -> list[Any]:
        return self._json("v")

    def values_text(self) -> str | None:
        """The values as the block holds them: the text of a JSON list, without space around it.

        None unless all records succeeded, with indices that follow each other.
        """
        text = self._raw["v"]
        if any(self.state_codes) or not isinstance(self.indices, range) or text[:1] != "[":
            return None
        # Numbers are checked, but not made: that is most of what reading them costs.
        self._check(loads(text, parse_float=len, parse_int=len, parse_constant=_refuse))
        return text if text[-1:] == "]" else None

    def sums_seen(self) -> list[Any]:
        return self._json("g") if "g" in self._raw else [None] * len(self.indices)

    def sites(self) -> list[ExecutionSite]:
        table = [ExecutionSite(*site) for site in self._raw["L"]]
        return [table[code] for code in self._raw.get("l") or bytes(len(self.indices))]

    def starts_ns(self) -> Iterator[int]:
        """Since the start of the epoch."""
        return accumulate(self._raw["o"])

    def walls_ns(self) -> list[int]:
        return list(self._raw["w"])

    def cpus_ns(self) -> list[int]:
        return list(self._raw["c"])

    def errors(self) -> list[TaskError | None]:
        found = self._raw.get("e", {})
        return [found.get(at) for at in range(len(self.indices))]

    def attempts(self) -> list[tuple[int, Sequence[FailedAttempt]]]:
        """The number of each record's attempt, and the failed ones before it."""
        found = self._raw.get("a", {})
        return [found.get(at, (1, ())) for at in range(len(self.indices))]

    def logs(self) -> list[str | None]:
        found = self._raw.get("t", {})
        logs = {at: NO_ROOM if log is None else str(log) for at, log in found.items()}
        return [logs.get(at) for at in range(len(self.indices))]

    def _json(self, letter: str) -> list[Any]:
        return self._check(loads(self._raw[letter], parse_constant=_refuse))

    def _check(self, found: object) -> list[Any]:
        if not isinstance(found, list) or len(found) != len(self.indices):
            raise ValueError("a column of the block has not as many values as there are records")
        return found


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
        ValueError: as `RecordColumns`.
    """
    columns, indices, states = _unpack(block, most, "Llowcag")
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


def _unpack(block: bytes, most: int, wanted: str) -> tuple[JsonObject, Sequence[int], bytes]:
    """The wanted columns of a block, its indices and its states."""
    unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=MOST_BYTES)
    unpacker.feed(decompress(block, MOST_BYTES))
    columns: JsonObject = {}
    for _ in range(unpacker.read_map_header()):
        name = unpacker.unpack()
        if name in _ALWAYS or name in wanted:
            columns[name] = unpacker.unpack()
        else:
            unpacker.skip()
    count, first = columns["n"], columns["f"]
    lengths = {len(columns[name]) for name in "wcolis" if name in columns}
    if not 0 < count <= most or lengths - {count}:
        raise ValueError(f"{count} records are said to be in the block")
    indices = list(accumulate(columns["i"])) if "i" in columns else range(first, first + count)
    return columns, indices, columns.get("s") or bytes(count)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _differences(numbers: Sequence[int]) -> list[int]:
    return [numbers[0], *map(sub, numbers[1:], numbers)]
