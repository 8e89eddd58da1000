"""The `Idempotency-Key` header."""

from collections.abc import Mapping

from flask import request

from batchpool.api.context import ApiContext
from batchpool.api.problems import field_problem
from batchpool.jobs.items_digest import canonical_digest
from batchpool.ledger.job_creation import IdempotencyKey
from batchpool.ledger.values.job_spec import ItemsSummary
from batchpool.schemas.comparison_requests import ComparisonRequest
from batchpool.schemas.job_requests import JobRequest

MOST_KEY_CHARS = 255


def idempotency_key(context: ApiContext, asked: Mapping[str, object]) -> IdempotencyKey | None:
    """The Idempotency-Key of the current request, if any; `asked` is the request that it names."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not (0 < len(key) <= MOST_KEY_CHARS and key.isascii() and key.isprintable()):
        raise field_problem(
            "Idempotency-Key", f"must be 1 to {MOST_KEY_CHARS} printable ASCII characters"
        )
    caller = canonical_digest(request.headers.get("Authorization", ""))
    return IdempotencyKey(
        scope=f"{request.method} {request.path} {caller}",
        key=key,
        body_sha256=canonical_digest(asked),
        ttl_s=context.settings.idempotency_ttl_s,
    )


def is_used(context: ApiContext) -> bool:
    """Whether the Idempotency-Key of the current request, if any, was used before."""
    key = idempotency_key(context, {})
    return key is not None and bool(context.redis.exists(key.name))


def idempotency_key_of(
    context: ApiContext, asked: JobRequest | ComparisonRequest, items: ItemsSummary
) -> IdempotencyKey | None:
    """The key of a request that brings items, which are compared by their hash."""
    if "Idempotency-Key" not in request.headers:
        return None
    # The request, not its spec: defaults depend on the workers of the moment.
    body = asked.model_dump(exclude={"items"}) | {"items": items.sha256}
    # As the versions before had it: keys outlive an upgrade.
    if isinstance(asked, JobRequest) and asked.backend is None:
        body["backend"] = "thread-pool"
    if not body.get("reduce"):
        body.pop("reduce", None)
    if body.get("rate") is None:
        body.pop("rate", None)
    if body.get("logs") is True:
        del body["logs"]
    return idempotency_key(context, body)
