"""The slot of a comparison that this worker holds, or none."""

import logging

from batchpool.ledger.connection import UNREACHABLE
from batchpool.ledger.keys import private_class
from batchpool.ledger.reservations import HolderFields, Reservations, WorkerSlot
from batchpool.ledger.values.announcements import ReservedSlot

log = logging.getLogger("batchpool.worker")


class Reservation:
    """What the worker believes of its seat; the ledger is asked now and then, and is right.

    Args:
        holder: what the ledger is told of this worker, see `Holder`.
    """

    def __init__(self, reservations: Reservations, holder: HolderFields) -> None:
        self._reservations = reservations
        self._holder = holder
        self.worker_slot: WorkerSlot | None = None

    def take(self, worker_slot: WorkerSlot) -> None:
        """Sit down, if the seat is wanted and this worker has none."""
        if self.worker_slot is not None:
            return
        try:
            is_ours = self._reservations.take(worker_slot, self._holder)
        except UNREACHABLE as error:
            # It may have been taken: the next look tells.
            log.warning(
                "slot %d of comparison %s: %s", worker_slot.slot, worker_slot.comparison_id, error
            )
            is_ours = True
        if is_ours:
            self.worker_slot = worker_slot
            log.info(
                "reserved for slot %d of comparison %s", worker_slot.slot, worker_slot.comparison_id
            )

    def release(self, worker_slot: WorkerSlot) -> None:
        """Stand up from this very seat; a message for one that we no longer have is late."""
        if worker_slot == self.worker_slot:
            self.leave()

    def verify(self) -> None:
        """Stand up if the seat is no longer ours; while Redis is away it stays as it is."""
        if self.worker_slot is None:
            return
        try:
            if not self._reservations.is_current(self.worker_slot):
                self.leave()
        except UNREACHABLE as error:
            log.debug("cannot look at the slot: %s", error)

    def leave(self) -> None:
        """Stand up, and say so in the ledger if it hears us."""
        worker_slot, self.worker_slot = self.worker_slot, None
        if worker_slot is None:
            return
        log.info("slot %d of comparison %s is left", worker_slot.slot, worker_slot.comparison_id)
        try:
            self._reservations.leave(worker_slot)
        except UNREACHABLE as error:
            log.debug("left without a word: %s", error)

    def class_of(self, class_id: str) -> str:
        """The class whose queue this worker reads."""
        if self.worker_slot is None:
            return class_id
        return private_class(class_id, self.worker_slot.comparison_id, self.worker_slot.slot)

    def describe(self) -> ReservedSlot | None:
        """The slot as the worker announces it."""
        if self.worker_slot is None:
            return None
        return ReservedSlot(self.worker_slot.comparison_id, self.worker_slot.slot)
