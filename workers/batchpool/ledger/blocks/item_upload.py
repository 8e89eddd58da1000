"""Items that arrive before their job, in a key of their own with a time to live."""

import json
from contextlib import suppress

from redis import Redis
from redis.exceptions import RedisError

from batchpool.ledger import keys
from batchpool.ledger.blocks.item_codec import ITEMS_PER_BLOCK, PART_BYTES, pack_text, part_field
from batchpool.ledger.job_creation import CapacityLimits, check_room
from batchpool.ledger.scripts import LuaScript
from batchpool.ledger.values.job_entries import UploadedItems

UPLOAD_TTL_S = 600
"""How long an upload is kept after the last block that came; each one counts anew."""


class ItemUpload:
    """Takes items in parts of blocks; a job that is then created takes them all, or none.

    Args:
        dry_run: count the items, and store nothing.
    """

    def __init__(
        self, redis: Redis, upload_id: str, room: CapacityLimits, dry_run: bool = False
    ) -> None:
        self._dry_run = dry_run
        self._redis = redis
        self._add = LuaScript(redis, "upload")
        self._key = keys.UPLOAD + upload_id
        self._room = room
        self._texts: list[str] = []
        self._text_bytes = 0
        self._parts_of_block = 0
        self._blocks = 0
        self._stored = 0
        self._stored_bytes = 0
        self.count = 0

    @property
    def room_in_block(self) -> int:
        """The most items that may be added at once."""
        return ITEMS_PER_BLOCK - self.count % ITEMS_PER_BLOCK

    def add(self, text: str, count: int) -> None:
        """Take so many items, at least one: their JSON texts with commas between them.

        Raises:
            LimitExceeded: with these items, the job would exceed the limits of the ledger.
            UploadLost: its time to live has passed.
        """
        self._texts.append(text)
        self._text_bytes += len(text)
        self.count += count
        if self.count % ITEMS_PER_BLOCK == 0 or self._text_bytes > PART_BYTES:
            self._store()

    def finish(self) -> UploadedItems:
        """What has come, for the job; raises as `add`."""
        if self._texts:
            self._store()
        key = None if self._dry_run else self._key
        return UploadedItems(key, self.count, self._blocks, self._stored_bytes)

    def _store(self) -> None:
        part = pack_text(f"[{','.join(self._texts)}]")
        field = part_field(self._stored // ITEMS_PER_BLOCK, self._parts_of_block)
        order = {
            "blocks": self._blocks,
            "items": self.count,
            "room": self._room.as_json(),
            "ttl_ms": UPLOAD_TTL_S * 1000,
        }
        if not self._dry_run:
            check_room(self._add(self._key, [json.dumps(order), field, part]))
        self._texts, self._text_bytes = [], 0
        self._stored, self._blocks = self.count, self._blocks + 1
        self._parts_of_block = self._parts_of_block + 1 if self.count % ITEMS_PER_BLOCK else 0
        self._stored_bytes += len(part)

    def discard(self) -> None:
        """Remove what no job has taken; if Redis is away, that is done by its time to live."""
        with suppress(RedisError):
            self._redis.unlink(self._key)
