"""The timeline of jobs over HTTP: what the ledger has, whoever wrote it."""

from typing import Any

from batchpool.ledger import keys
from batchpool.schemas.timeline import Timeline


def test_the_timeline_of_a_job_has_a_bar_per_item(stage: Any) -> None:
    job_id = stage.post(task="echo", count=10, batches=2)["id"]
    path = f"/v1/jobs/{job_id}/timeline"
    queued = stage.get(path)
    assert (queued["state"], queued["total"], queued["lanes"]) == ("queued", 0, [])
    stage.run(job_id, 0, fail=frozenset([3]))
    running = stage.get(path)
    assert (running["total"], running["now"]) == (5, running["end"])
    stage.run(job_id, 1)
    for _ in range(2):
        shown = stage.get(path)
        Timeline.model_validate(shown)
        assert (shown["total"], shown["shown"], shown["now"]) == (10, 10, None)
        bars = [lane["bars"] for lane in shown["lanes"]]
        assert sorted(index for each in bars for index in each["index"]) == list(range(10))
        assert "".join(each["state"] for each in bars).count("f") == 1
    nothing = stage.get(f"{path}?from=86400")
    assert (nothing["shown"], nothing["total"], nothing["from"]) == (0, 10, 86400)


def test_a_block_that_cannot_be_read_costs_its_own_bars_only(stage: Any) -> None:
    job_id = stage.post(task="echo", count=10, batches=2)["id"]
    for batch in (0, 1):
        stage.run(job_id, batch)
    stage.redis.lset(keys.batch_key(job_id, 0) + ":blocks", 0, b"rubbish")
    shown = stage.get(f"/v1/jobs/{job_id}/timeline")
    assert shown["total"] == 5
    assert [each["kind"] for each in stage.get("/v1/broken")["broken"]] == ["block"]
