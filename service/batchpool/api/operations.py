"""The operations of the API: one entry per method and path."""

from batchpool.api.operation import Operation
from batchpool.schemas import comparison_requests as requests
from batchpool.schemas import comparison_responses as comparison_answers
from batchpool.schemas import inventory_responses as inventory_answers
from batchpool.schemas import job_requests as models
from batchpool.schemas import job_responses as answers
from batchpool.schemas import lesson_responses as lesson_answers
from batchpool.schemas import plan_responses as plan_answers
from batchpool.schemas import record_requests
from batchpool.schemas import record_responses as record_answers
from batchpool.schemas.report import ReportQuery
from batchpool.schemas.timeline import Timeline, TimelineQuery

_READ = (406, 422, 503)
_ONE = (404, *_READ)
_SUBMIT = (400, 406, 409, 413, 415, 422, 429, 503, 507)
_UPLOAD = {
    "Batchpool-Job": "if the body is NDJSON or CSV: the job as JSON, without its items; "
    "for CSV also `columns`, the types of columns that are not text: "
    "number, boolean or json"
}
_GONE = (404, 422, 503)
_KEY = {"Idempotency-Key": "a request with the same key and body is the same request, for 24 h"}


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "post",
        "/v1/jobs",
        "Submit a job, and wait for its end if asked to",
        202,
        answers.Job,
        body=models.JobRequest,
        query=models.SubmitQuery,
        headers=_KEY | _UPLOAD,
        body_others=("application/x-ndjson", "text/csv"),
        dry_run=plan_answers.PlannedJob,
        problems=_SUBMIT,
    ),
    Operation(
        "post",
        "/v1/jobs/bulk",
        "Submit up to 1,000 jobs: those that are not refused are stored in one step",
        207,
        answers.SubmittedJobs,
        body=models.JobsRequest,
        headers=_KEY,
        problems=_SUBMIT,
    ),
    Operation(
        "get",
        "/v1/jobs",
        "List jobs, newest first",
        answer=answers.JobPage,
        query=models.JobsQuery,
        problems=_READ,
    ),
    Operation(
        "post",
        "/v1/jobs/cancel",
        "Cancel the jobs that match a filter",
        202,
        answers.BulkAnswer,
        query=models.BulkQuery,
        problems=_READ,
    ),
    Operation(
        "post",
        "/v1/jobs/retry",
        "Retry the failed and cancelled jobs that match a filter, each of them once",
        202,
        answers.BulkRetryAnswer,
        query=models.BulkQuery,
        problems=(*_READ, 429, 507),
    ),
    Operation(
        "delete",
        "/v1/jobs",
        "Delete the terminal jobs that match a filter",
        202,
        answers.BulkAnswer,
        query=models.BulkQuery,
        problems=_READ,
    ),
    Operation(
        "get",
        "/v1/jobs/{job_id}",
        "Show a job, or wait for its end",
        answer=answers.Job,
        query=models.JobQuery,
        problems=_ONE,
    ),
    Operation(
        "delete", "/v1/jobs/{job_id}", "Delete a terminal job", 204, problems=(404, 409, 422, 503)
    ),
    Operation(
        "get",
        "/v1/jobs/{job_id}/records",
        "The record of each item, by index",
        answer=record_answers.RecordPage,
        query=record_requests.RecordsQuery,
        problems=_ONE,
        others=("application/x-ndjson", "text/csv"),
    ),
    Operation(
        "get",
        "/v1/jobs/{job_id}/values",
        "What the tasks returned, by item index",
        answer=record_answers.Values,
        query=record_requests.ValuesQuery,
        problems=(*_ONE, 409),
        others=("application/x-ndjson",),
    ),
    Operation(
        "get",
        "/v1/jobs/{job_id}/events",
        "Follow a job: Server-Sent Events progress, batch, job and end, each with the job",
        query=models.EventsQuery,
        headers={"Last-Event-ID": "the last event that was seen; what follows is sent"},
        problems=_ONE,
        others=("text/event-stream",),
    ),
    Operation(
        "get",
        "/v1/jobs/{job_id}/trace",
        "Chrome Trace Events of a job, for Perfetto",
        answer=record_answers.Trace,
        problems=_ONE,
    ),
    Operation(
        "get",
        "/v1/jobs/{job_id}/errors",
        "The failures of a job, grouped by type and by the frame of the task's own code",
        answer=record_answers.Failures,
        problems=_ONE,
    ),
    Operation(
        "get",
        "/v1/jobs/{job_id}/timeline",
        "When each item ran and where: bars of a window of time, or bins where they are many",
        answer=Timeline,
        query=TimelineQuery,
        problems=_ONE,
    ),
    Operation(
        "get",
        "/v1/jobs/{job_id}/report",
        "A job as one HTML file that loads nothing; or one of its charts, as SVG",
        query=ReportQuery,
        problems=_ONE,
        others=("text/html", "image/svg+xml"),
    ),
    Operation(
        "post", "/v1/jobs/{job_id}/cancel", "Cancel a job", 202, answers.Job, problems=(*_ONE, 409)
    ),
    Operation(
        "post",
        "/v1/jobs/{job_id}/retry",
        "Retry the items that have not succeeded, as a new job",
        202,
        answers.Job,
        headers=_KEY,
        problems=(404, 406, 409, 422, 429, 503, 507),
    ),
    Operation(
        "post",
        "/v1/comparisons",
        "Submit a comparison: the same items under several arms, in interleaved rounds",
        202,
        comparison_answers.Comparison,
        body=requests.ComparisonRequest,
        query=models.DryRunQuery,
        headers=_KEY,
        dry_run=plan_answers.PlannedComparison,
        problems=_SUBMIT,
    ),
    Operation(
        "get",
        "/v1/comparisons",
        "List comparisons, newest first",
        answer=comparison_answers.ComparisonPage,
        query=requests.ComparisonsQuery,
        problems=_READ,
    ),
    Operation(
        "get",
        "/v1/comparisons/{comparison_id}",
        "Show a comparison, or wait for its end; as JSON, Markdown, CSV or other forms",
        answer=comparison_answers.Comparison,
        query=requests.ComparisonQuery,
        problems=(404, 406, 409, 422, 503),
        others=("text/markdown", "text/csv"),
    ),
    Operation(
        "delete",
        "/v1/comparisons/{comparison_id}",
        "Delete a terminal comparison with all its jobs",
        204,
        problems=(404, 409, 422, 503),
    ),
    Operation(
        "get",
        "/v1/comparisons/{comparison_id}/events",
        "Follow a comparison: Server-Sent Events run, comparison and end, each as in the list",
        query=models.EventsQuery,
        headers={"Last-Event-ID": "the last event that was seen; what follows is sent"},
        problems=_ONE,
        others=("text/event-stream",),
    ),
    Operation(
        "get",
        "/v1/comparisons/{comparison_id}/report",
        "A comparison as one HTML file that loads nothing; or one of its charts, as SVG",
        query=ReportQuery,
        problems=_ONE,
        others=("text/html", "image/svg+xml"),
    ),
    Operation(
        "post",
        "/v1/comparisons/{comparison_id}/cancel",
        "Cancel a comparison, and the run that is under way",
        202,
        comparison_answers.Comparison,
        problems=(404, 406, 409, 422, 503),
    ),
    Operation(
        "get",
        "/v1/lessons",
        "The guided experiments, each with the comparison that runs it",
        answer=lesson_answers.Lessons,
        problems=_READ,
    ),
    Operation(
        "get",
        "/v1/lessons/{lesson}/{comparison_id}",
        "What a run of a lesson showed; as JSON, or as one HTML file to keep",
        answer=lesson_answers.LessonRun,
        problems=_ONE,
        others=("text/html",),
    ),
    Operation(
        "get", "/v1/workers", "Live workers", answer=inventory_answers.Workers, problems=_READ
    ),
    Operation(
        "get",
        "/v1/classes",
        "Classes of workers and their load in the last minutes",
        answer=inventory_answers.Classes,
        problems=_READ,
    ),
    Operation(
        "get",
        "/v1/backends",
        "Backends and their options",
        answer=inventory_answers.Backends,
        problems=_READ,
    ),
    Operation(
        "get", "/v1/tasks", "Tasks and their params", answer=inventory_answers.Tasks, problems=_READ
    ),
    Operation(
        "get",
        "/v1/broken",
        "Data in Redis that cannot be read, and why; all else goes on without them",
        answer=inventory_answers.BrokenData,
        problems=_READ,
    ),
    Operation(
        "delete", "/v1/broken/{broken_id}", "Delete broken data for good", 204, problems=_GONE
    ),
    Operation("get", "/healthz", "Liveness of this process", answer=inventory_answers.Health),
    Operation(
        "get",
        "/readyz",
        "Readiness: whether jobs are accepted and kept safely",
        answer=inventory_answers.ReadinessInfo,
    ),
    Operation(
        "get",
        "/metrics",
        "Metrics for Prometheus: jobs, items, batches, workers, Redis",
        problems=(503,),
        others=("text/plain",),
    ),
    Operation("get", "/openapi.json", "This document", others=("application/json",)),
    Operation("get", "/docs", "The API as a page", others=("text/html",)),
    Operation("get", "/", "The overview, a page", others=("text/html",)),
)
