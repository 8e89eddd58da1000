"""Announces the class of a worker to the service, again whenever a new runner changes it."""

import logging

from batchpool.ledger.presence import Presence
from batchpool.ledger.values.announcements import WorkerCapabilities

ANNOUNCE_CLASS_EVERY_S = 60.0

log = logging.getLogger("batchpool.worker")


class ClassAnnouncement:
    """Announces the class of a worker now and then, and forgets those that it was of before.

    Classes are remembered for days, so that jobs are accepted while all workers restart. But each
    edit of a task makes one, and what waits for the one before need not wait for its return.
    """

    def __init__(self, presence: Presence, capabilities: WorkerCapabilities) -> None:
        self._presence = presence
        self._capabilities = capabilities
        self._former: list[str] = []
        self._due_s = 0.0

    @property
    def class_id(self) -> str:
        return self._capabilities.id

    def update(self, capabilities: WorkerCapabilities) -> bool:
        """Take the capabilities of the last runner; returns whether they make another class."""
        before, self._capabilities = self._capabilities, capabilities
        if before is not capabilities:
            self._due_s = 0.0
        if before.id == capabilities.id:
            return False
        log.warning("files of tasks have changed: from class %s to %s", before.id, capabilities.id)
        self._former.append(before.id)
        return True

    def announce_if_due(self, now_s: float) -> None:
        """Announce the class, at most every `ANNOUNCE_CLASS_EVERY_S` while it stays the same.

        Raises:
            RedisError: it is due again at the next call.
        """
        if now_s < self._due_s:
            return
        self.announce()
        self._due_s = now_s + ANNOUNCE_CLASS_EVERY_S

    def announce(self) -> None:
        """Announce the class now."""
        self._presence.announce_class(self._capabilities)

    def forget_former(self) -> None:
        """Remove the classes that this worker was of and no other is, once its own is known."""
        if self._former:
            self._presence.forget_unused_classes(self._former)
        self._former.clear()
