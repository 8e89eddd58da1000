"""Refusals of the admission of a job.

Refusal                 (schemas)
├── InvalidFields       (schemas) a field out of bounds, or nothing that a known worker can run
└── NoWorkerSeen        no worker has announced itself yet, so nothing can be admitted
"""

from batchpool.schemas.refusals import Refusal


class NoWorkerSeen(Refusal):
    """No worker has ever announced itself."""

    def __init__(self) -> None:
        super().__init__("no worker has been seen yet; start one, then send the request again")
