"""Response models of workers, backends, tasks and health."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from batchpool.json_value import JsonObject
from batchpool.schemas.job_responses import Instant, Number, ResponseModel


class ReservedInfo(ResponseModel):
    comparison: str
    slot: int


class IdlePoolInfo(ResponseModel):
    start_method: str | None = Field(description="of its processes; null for sub-interpreters")
    children: int
    pids: list[int] = Field(description="of its processes; empty for sub-interpreters")


class WorkerInfo(BaseModel):
    """A live worker."""

    model_config = ConfigDict(populate_by_name=True, defer_build=True)

    name: str
    host: str
    pid: int
    python: str
    gil: bool
    cpus: Number = Field(description="CPUs that it may use")
    class_: str = Field(alias="class", description="workers of one class take the same batches")
    reserved: ReservedInfo | None = Field(None, description="by a comparison, for its own batches")
    state: Literal["idle", "busy", "draining"]
    batch: str | None = Field(description="job id/batch that it runs")
    runner_pid: int | None
    warm: list[IdlePoolInfo] = Field(
        description="pools that it keeps for the next batch, as of the end of the last one"
    )
    rss_bytes: int
    started_at: Instant | None


class Workers(ResponseModel):
    workers: list[WorkerInfo]


class LoadInfo(ResponseModel):
    at: Instant
    queued: int = Field(description="batches that wait for the class")
    oldest_s: float | None = Field(description="how long the first of them has waited")
    running: int = Field(description="batches that its workers run")


class ClassInfo(ResponseModel):
    """Workers that can run the same."""

    id: str
    python: str
    gil: bool
    workers: int = Field(description="live ones")
    samples: list[LoadInfo] = Field(
        description="one every 5 s while a batch waits or runs anywhere, the oldest first; at most "
        "180"
    )


class Classes(ResponseModel):
    classes: list[ClassInfo]


class Backend(ResponseModel):
    name: str
    description: str
    in_flight: str
    task_timeout: str
    kills: str
    dispatch: list[str]
    chunksize: bool
    pool: list[str]
    start_methods: list[str]
    form: Literal["sync", "async", "either"]
    min_python: str
    available: bool = Field(description="a known class of workers can run it")
    workers: int = Field(description="live workers that can run it")


class Backends(ResponseModel):
    backends: list[Backend]


class TaskInfo(BaseModel):
    model_config = ConfigDict(populate_by_name=True, extra="forbid", defer_build=True)

    name: str
    description: str | None
    params: JsonObject | None = Field(description="JSON Schema; null: takes none")
    sync: bool
    async_: bool = Field(alias="async")
    bound: Literal["io", "cpu"] | None
    rate: str | None = Field(None, description="items that may begin in a time, if it has one")
    classes: list[str]
    workers: int


class TaskProblem(BaseModel):
    """A source of tasks that a worker could not load."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid", defer_build=True)

    class_: str = Field(alias="class")
    source: str
    error: str


class Tasks(ResponseModel):
    tasks: list[TaskInfo]
    errors: list[TaskProblem]


class BrokenDatumInfo(ResponseModel):
    """One thing in Redis that cannot be read."""

    id: str
    kind: Literal["member", "key", "job", "comparison", "block"]
    key: str = Field(description="Redis' key that is broken, or has the broken member")
    name: str = Field(description="the member, field or place in that key; empty: the whole key")
    reason: str
    seen_at: Instant | None


class BrokenData(ResponseModel):
    broken: list[BrokenDatumInfo]


class Health(ResponseModel):
    status: Literal["alive"]


class LiveWorkers(ResponseModel):
    live: int
    classes: int


class Check(ResponseModel):
    ok: bool
    reasons: list[str] = Field(description="why not; empty if it is")


class ReadinessInfo(ResponseModel):
    status: Literal["ready", "unavailable"]
    reasons: list[str]
    accepting: Check = Field(description="jobs are accepted and kept safely; decides the status")
    running: Check = Field(description="accepted jobs are run")
    durability: Literal["strong", "weak", "none", "unknown"]
    redis: JsonObject
    workers: LiveWorkers
