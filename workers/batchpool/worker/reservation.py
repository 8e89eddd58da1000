"""The slot of a comparison that this worker holds, or none."""

import logging

from batchpool.ledger.connection import UNREACHABLE
from batchpool.ledger.keys import private_class
from batchpool.ledger.reservations import HolderFields, Reservations, WorkerSlot
from batchpool.ledger.values.announcements import ReservedSlot

log = logging.getLogger("batchpool.worker")


class Reservation:
    """The worker's copy of its slot; checked against the ledger, which decides.

    Args:
        holder: what the ledger stores about this worker, see `Holder`.
    """

    def __init__(self, reservations: Reservations, holder: HolderFields) -> None:
        self._reservations = reservations
        self._holder = holder
        self.worker_slot: WorkerSlot | None = None

    def take(self, worker_slot: WorkerSlot) -> None:
        """Take the slot if the comparison still wants it and this worker has none."""
        if self.worker_slot is not None:
            return
        try:
            is_ours = self._reservations.take(worker_slot, self._holder)
        except UNREACHABLE as error:
            # It may have been taken: `verify` finds out.
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
        """Leave this slot; a message about another one is late and ignored."""
        if worker_slot == self.worker_slot:
            self.leave()

    def verify(self) -> None:
        """Leave the slot if the ledger took it back; no change while Redis is unreachable."""
        if self.worker_slot is None:
            return
        try:
            if not self._reservations.is_current(self.worker_slot):
                self.leave()
        except UNREACHABLE as error:
            log.debug("could not verify the slot: %s", error)

    def leave(self) -> None:
        """Leave the slot, also in the ledger if it is reachable."""
        worker_slot, self.worker_slot = self.worker_slot, None
        if worker_slot is None:
            return
        log.info("slot %d of comparison %s is left", worker_slot.slot, worker_slot.comparison_id)
        try:
            self._reservations.leave(worker_slot)
        except UNREACHABLE as error:
            log.debug("could not deregister: %s", error)

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
