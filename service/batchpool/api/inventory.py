"""What workers announced, as the API shows it; pure."""

from collections.abc import Sequence
from typing import Any

from batchpool.backends.facts import BACKENDS
from batchpool.jobs.planning import live_by_class
from batchpool.model import DISPATCHES, POOLS
from batchpool.timestamps import rfc3339

Documents = Sequence[dict[str, Any]]


def show_workers(workers: Documents) -> dict[str, Any]:
    """The live workers; what a worker announces beyond the known fields is shown as it is."""
    return {"workers": [_show_worker(worker) for worker in workers]}


def _show_worker(worker: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in worker.items() if not name.endswith("_ms")}
    return shown | {"started_at": rfc3339(worker.get("started_ms"))}


def show_backends(classes: Documents, workers: Documents) -> dict[str, Any]:
    """Every backend with what it can be asked for, and how many live workers can run it."""
    live = live_by_class(workers)
    backends = []
    for name, facts in BACKENDS.items():
        able = [document for document in classes if name in document["backends"]]
        methods = sorted({method for document in able for method in document["start_methods"]})
        backends.append(
            {
                "name": name,
                "description": facts.summary,
                "in_flight": facts.in_flight,
                "task_timeout": facts.task_timeout,
                "kills": facts.kills,
                "dispatch": list(DISPATCHES) if facts.dispatch else [],
                "chunksize": facts.dispatch,
                "pool": list(POOLS) if facts.dispatch else [],
                "start_methods": methods if facts.start_method else [],
                "form": facts.form,
                "min_python": ".".join(map(str, facts.min_python)),
                "available": bool(able),
                "workers": sum(len(live.get(document["id"], ())) for document in able),
            }
        )
    return {"backends": backends}


def show_tasks(classes: Documents, workers: Documents) -> dict[str, Any]:
    """Every task of any class, as the class with most live workers has it, and what failed."""
    live = live_by_class(workers)
    ranked = sorted(classes, key=lambda doc: (-len(live.get(doc["id"], ())), doc["id"]))
    tasks: dict[str, dict[str, Any]] = {}
    for document in ranked:
        for name, about in document["tasks"].items():
            shown = tasks.setdefault(name, _show_task(name, about))
            shown["classes"].append(document["id"])
            shown["workers"] += len(live.get(document["id"], ()))
    errors = [
        {"class": document["id"], "source": error["source"], "error": error["error"]}
        for document in ranked
        for error in document.get("errors", ())
    ]
    return {"tasks": [tasks[name] for name in sorted(tasks)], "errors": errors}


def _show_task(name: str, about: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "description": about.get("description"),
        "params": about.get("schema"),
        "sync": about["sync"],
        "async": about["async"],
        "bound": about.get("bound"),
        "classes": [],
        "workers": 0,
    }
