"""Task profiles from earlier batches, kept for the life of the runner."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchpool.backends.auto.task_profile import TaskProfile

_MOST = 256


@dataclass(frozen=True)
class CachedProfile:
    """The profile of a task with its params.

    Attributes:
        walls_s: wall times by backend and concurrency.
    """

    profile: TaskProfile
    walls_s: dict[tuple[str, int], float] = field(default_factory=dict)


class ProfileCache:
    """The last few hundred profiles that were measured here."""

    def __init__(self) -> None:
        self._profiles: OrderedDict[str, CachedProfile] = OrderedDict()

    def find(self, key: str) -> CachedProfile | None:
        return self._profiles.get(key)

    def keep(self, key: str, cached: CachedProfile) -> None:
        self._profiles[key] = cached
        self._profiles.move_to_end(key)
        if len(self._profiles) > _MOST:
            self._profiles.popitem(last=False)

    def clear(self) -> None:
        self._profiles.clear()

    def forget(self, key: str) -> None:
        self._profiles.pop(key, None)


def profile_key(task: str, version: str, params: Mapping[str, Any], item: Any) -> str:
    """The key of like batches: task, version, params, and the type and size of their items."""
    size = len(json.dumps(item, default=str)).bit_length()
    shape = f"{type(item).__name__}:{size}"
    return json.dumps([task, version, params, shape], sort_keys=True, default=str)
