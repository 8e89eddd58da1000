"""What a worker says about itself where it owns a batch or holds a slot."""

import os
import socket

from batchpool.ledger.reservations import HolderFields
from batchpool.ledger.values.job_entries import WorkerIdentity
from batchpool.system.cpus import usable_cpus
from batchpool.system.interpreter import gil_enabled, python_minor


def worker_identity(name: str) -> WorkerIdentity:
    """This worker, for the epochs of its batches."""
    return {
        "worker": name,
        "host": socket.gethostname(),
        "ppid": os.getpid(),
        "python": python_minor(),
        "gil": gil_enabled(),
    }


def holder_fields(name: str) -> HolderFields:
    """This worker as the holder of a slot."""
    return HolderFields(
        worker=name,
        host=socket.gethostname(),
        cpus=usable_cpus(),
        pid=os.getpid(),
        python=python_minor(),
        gil=gil_enabled(),
    )
