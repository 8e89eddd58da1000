"""`count_values`: how often each number, text, boolean and null occurs."""

from collections import Counter
from collections.abc import Sequence
from json import dumps, loads
from typing import Any, Self

from batchpool.reducers.accumulator import SCALARS, Accumulator
from batchpool.reducers.reducer import STATE_BYTES, Reducer

BYTES_OF_COUNT = 4
"""What each distinct value takes beside its JSON text: a line feed and, as msgpack, a count below
65,536. Of ten million items at most 152 values have a greater one."""
MOST_BYTES = STATE_BYTES - 2048
LONGEST_BYTES = 1024
"""A longer value never has room, so that the state can say where the values were cut."""


class CountValues(Accumulator):
    """Counts the values whose JSON texts come first in the order of code points, as many as fit.

    Values are the same if their JSON texts are. Once a value found no room, none from it on is
    kept: those below it have all their occurrences counted, so that the result is the same
    whatever order and batches the items came in.
    """

    kinds = SCALARS
    most = None

    def __init__(self, reducer: Reducer) -> None:
        super().__init__(reducer)
        self._counts: Counter[str] = Counter()
        self._bytes = 0
        # The least text that has no room.
        self._cut: str | None = None

    def add(self, indices: Sequence[int], values: Sequence[Any]) -> None:
        kinds = set(map(type, values))
        found: Counter[str] = Counter()
        # By type: 1, 1.0 and True are equal.
        for kind in kinds:
            same = values if len(kinds) == 1 else [each for each in values if type(each) is kind]
            for value, count in Counter(same).items():
                found[_text(value)] += count
        self._add(found)

    def merge(self, other: Self) -> None:
        self.overflow += other.overflow
        if other._cut is not None:
            self._cut_at(other._cut)
        self._add(other._counts)

    def _add(self, found: Counter[str]) -> None:
        for text, count in found.items():
            if text not in self._counts:
                is_cut = self._cut is not None and text >= self._cut
                if is_cut or _room(text) > LONGEST_BYTES:
                    self.overflow += count
                    continue
                self._bytes += _room(text)
            self._counts[text] += count
        if self._bytes > MOST_BYTES:
            self._cut_at(self._first_without_room())

    def _first_without_room(self) -> str:
        total = 0
        for text in sorted(self._counts):
            total += _room(text)
            if total > MOST_BYTES:
                return text
        raise AssertionError("there is room for all")

    def _cut_at(self, cut: str) -> None:
        self._cut = cut if self._cut is None else min(cut, self._cut)
        for text in [text for text in self._counts if text >= self._cut]:
            self.overflow += self._counts.pop(text)
            self._bytes -= _room(text)

    def dump(self) -> Any:
        return ["\n".join(self._counts), list(self._counts.values()), self._cut, self.overflow]

    def load(self, raw: Any) -> None:
        texts, counts, self._cut, self.overflow = raw
        pairs = zip(texts.split("\n"), counts, strict=True) if counts else ()
        self._counts = Counter(dict(pairs))
        self._bytes = sum(map(_room, self._counts))

    def value(self) -> Any:
        by_count = sorted(self._counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return [{"value": loads(text), "count": count} for text, count in by_count]


def _text(value: Any) -> str:
    if type(value) is int:
        return str(value)
    # Plus 0: -0.0 and 0.0 are equal, so a Counter keeps the one that came first.
    return repr(value + 0.0) if type(value) is float else dumps(value, ensure_ascii=False)


def _room(text: str) -> int:
    return (len(text) if text.isascii() else len(text.encode())) + BYTES_OF_COUNT
