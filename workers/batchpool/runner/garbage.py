"""When the runner collects garbage: seldom for records, in time for what tasks leave."""

import gc

from batchpool.system.process_memory import resident_bytes

_GROWTH_BYTES = 64 << 20


class GarbageCollection:
    """Collects young objects as often as Python does, and all objects as memory grows.

    Records live until they are flushed, some thousands of them. With Python's own thresholds for
    the older generations the collector looks at all of them again and again, for a tenth of the
    price of a no-op. Without any, cyclic garbage that outlives its item would pile up: so memory
    decides.
    """

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(700, 1000, 1000)
        self._collected_at_bytes = resident_bytes()

    def collect_if_grown(self) -> None:
        """Collect all generations if memory grew by 64 MiB and a quarter since the last time."""
        now = resident_bytes()
        if now > self._collected_at_bytes * 1.25 + _GROWTH_BYTES:
            gc.collect()
            now = resident_bytes()
            self._collected_at_bytes = now
        # What was given back is room to grow into again.
        self._collected_at_bytes = min(self._collected_at_bytes, now)
