"""What there is: workers, backends, tasks; and whether it may be relied on."""

from typing import Any

MENDED = {"name": "w9", "class": "mended"}


def test_workers_are_shown_as_they_announced_themselves(stage: Any) -> None:
    stage.announce(stage.capabilities(), stage.worker_document(name="w2", batch="j/0"))
    workers = stage.get("/v1/workers")["workers"]
    assert [worker["name"] for worker in workers] == ["w1", "w2"]
    assert workers[1]["batch"] == "j/0"
    assert workers[0]["cpus"] == 2
    assert workers[0]["started_at"] == "2023-11-14T22:13:20.000Z"
    assert "started_ms" not in workers[0]


def test_backends_say_what_they_can_enforce_and_who_runs_them(stage: Any) -> None:
    backends = {each["name"]: each for each in stage.get("/v1/backends")["backends"]}
    assert set(backends) == {
        "sequential",
        "threading",
        "multiprocessing",
        "thread-pool",
        "process-pool",
        "interpreter-pool",
        "asyncio",
        "auto",
    }
    pool = backends["process-pool"]
    assert (pool["available"], pool["workers"], pool["task_timeout"]) == (True, 1, "yes")
    assert pool["start_methods"] == ["fork", "forkserver", "spawn"]
    newer = backends["interpreter-pool"]
    assert (newer["available"], newer["workers"], newer["min_python"]) == (False, 0, "3.14")


def test_tasks_have_their_schema_and_modules_that_failed_their_error(stage: Any) -> None:
    found = stage.get("/v1/tasks")
    tasks = {task["name"]: task for task in found["tasks"]}
    assert tasks["sleep"]["params"]["properties"]["seconds"]["maximum"] == 3600
    assert tasks["echo"]["params"] is None
    assert (tasks["cpu"]["sync"], tasks["cpu"]["async"]) == (True, False)
    assert tasks["sleep"]["workers"] == 1
    assert found["errors"] == [
        {"class": "c311", "source": "mine.py", "error": "ImportError: no module named 'x'"}
    ]
    stage.announce(stage.capabilities(id="mended", errors=[]))
    assert len(stage.get("/v1/tasks")["errors"]) == 1
    stage.leave("w1")
    stage.announce(stage.capabilities(id="mended", errors=[]), stage.worker_document(**MENDED))
    assert stage.get("/v1/tasks")["errors"] == [], "what no live worker has is history"


def test_a_process_that_answers_is_alive(bare: Any) -> None:
    assert bare.get("/healthz") == {"status": "alive"}


def test_it_is_ready_once_a_worker_was_seen(bare: Any) -> None:
    found = bare.get("/readyz", 503)
    assert found["reasons"] == ["no worker has been seen yet; start one"]
    bare.announce(bare.capabilities(), bare.worker_document())
    found = bare.get("/readyz")
    assert found["status"] == "ready"
    assert found["durability"] == "strong"
    assert found["workers"] == {"live": 1, "classes": 1}


def test_readiness_names_what_is_wrong_with_redis(stage: Any) -> None:
    try:
        stage.redis.config_set("appendfsync", "everysec")
        assert stage.get("/readyz")["durability"] == "weak"
        stage.redis.config_set("maxmemory-policy", "allkeys-lru")
        assert "set noeviction" in stage.get("/readyz", 503)["reasons"][0]
    finally:
        stage.redis.config_set("appendfsync", "always")
        stage.redis.config_set("maxmemory-policy", "noeviction")


def test_a_full_redis_refuses_jobs_with_507(stage: Any) -> None:
    try:
        stage.redis.config_set("maxmemory", "1mb")
        response = stage.http.post("/v1/jobs", json={"task": "echo", "items": ["x" * 1000] * 999})
        assert response.status_code == 507
        assert response.get_json()["title"] == "Redis is full"
        assert stage.redis.zcard("bp:jobs") == 0
    finally:
        stage.redis.config_set("maxmemory", "0")


def test_readiness_tells_accepting_from_running(stage: Any) -> None:
    assert stage.get("/readyz")["running"] == {"ok": True, "reasons": []}
    stage.leave("w1")
    found = stage.get("/readyz")
    assert (found["accepting"]["ok"], found["running"]["ok"]) == (True, False)
    assert "no worker is live" in found["running"]["reasons"][0]


def test_readiness_names_a_full_redis(stage: Any) -> None:
    stage.redis.config_set("maxmemory", "100kb")
    try:
        assert "Redis is full" in stage.get("/readyz", 503)["accepting"]["reasons"][0]
    finally:
        stage.redis.config_set("maxmemory", "0")


def test_readiness_names_a_user_that_may_run_no_scripts(stage: Any) -> None:
    # The default user is changed: new connections are opened as it.
    stage.redis.execute_command("ACL", "SETUSER", "default", "-evalsha")
    try:
        found = stage.get("/readyz", 503)
        assert "EVALSHA" in found["accepting"]["reasons"][0]
        assert "EVALSHA" in found["running"]["reasons"][0]
    finally:
        stage.redis.execute_command("ACL", "SETUSER", "default", "+@all")
