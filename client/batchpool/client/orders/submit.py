"""Submit one job, with its items in the request or as lines."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from batchpool.client.orders.item_lines import ItemLines, Items, split_items
from batchpool.client.transport import Call, Transport, encode_json, request_body
from batchpool.json_value import JsonObject


@dataclass(frozen=True)
class Order:
    """A job to be submitted: its task, where its items come from, and its other fields."""

    task: str
    count: int | None
    items: Items | None
    spec: JsonObject


def submit_job(
    transport: Transport,
    order: Order,
    idempotency_key: str | None = None,
    wait_s: float = 0,
    dry_run: bool = False,
) -> Any:
    """The answer to `POST /v1/jobs`: the job, or the plan of a dry run."""
    items = None if order.items is None else split_items(order.items)
    query: dict[str, str] = {"wait": f"{wait_s:.3f}"} if wait_s > 0 else {}
    if dry_run:
        query["dry_run"] = "1"
    headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
    body: Any = None
    lines: ItemLines | None = None
    if isinstance(items, ItemLines):
        lines = items
        job = request_body(order.task, order.count, None, order.spec)
        encode_json(job)
        headers |= {"Content-Type": lines.media_type, "Batchpool-Job": json.dumps(job)}
    else:
        body = request_body(order.task, order.count, items, order.spec)
    call = Call(
        "POST",
        "/v1/jobs",
        query=query or None,
        body=body,
        pieces=lines.pieces if lines else None,
        is_once=lines.is_once if lines else False,
        headers=headers,
        extra_timeout_s=wait_s,
    )
    return transport.json(call)
