"""Workers, backends and tasks as the API shows them; pure."""

from collections.abc import Sequence

from batchpool.backends.facts import BACKENDS
from batchpool.jobs.fleet import Fleet
from batchpool.jobs.planning import live_by_class
from batchpool.json_value import JsonObject
from batchpool.ledger.values.announcements import LiveWorker, TaskCapabilities
from batchpool.ledger.values.load_samples import ClassLoad, LoadSample
from batchpool.model import DISPATCHES, POOLS
from batchpool.timestamps import rfc3339


def show_workers(workers: Sequence[LiveWorker]) -> JsonObject:
    """The live workers."""
    return {"workers": [_show_worker(worker) for worker in workers]}


def _show_worker(worker: LiveWorker) -> JsonObject:
    shown = worker.to_json()
    del shown["started_ms"]
    return shown | {"started_at": rfc3339(worker.started_ms)}


def show_classes(fleet: Fleet, samples: Sequence[LoadSample]) -> JsonObject:
    """The classes of workers, each with its samples of the load; without load for none of them."""
    live = live_by_class(fleet.workers)
    return {
        "classes": [
            {
                "id": known.id,
                "python": known.python,
                "gil": known.gil,
                "workers": len(live.get(known.id, ())),
                "samples": [_show_load(sample, known.id) for sample in samples],
            }
            for known in fleet.classes
        ]
    }


def _show_load(sample: LoadSample, class_id: str) -> JsonObject:
    load = sample.classes.get(class_id, ClassLoad())
    return {"at": rfc3339(sample.at_ms)} | load.to_json()


def show_backends(fleet: Fleet) -> JsonObject:
    """Every backend: its options, and how many live workers can run it."""
    live = live_by_class(fleet.workers)
    backends = []
    for name, facts in BACKENDS.items():
        able = [known for known in fleet.classes if name in known.backends]
        methods = sorted({method for known in able for method in known.start_methods})
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
                "workers": sum(len(live.get(known.id, ())) for known in able),
            }
        )
    return {"backends": backends}


def show_tasks(fleet: Fleet) -> JsonObject:
    """Every task of any class, as the class with most live workers has it, and what failed.

    What failed to load is that of the classes that live, or of all if none does.
    """
    live = live_by_class(fleet.workers)
    ranked = sorted(fleet.classes, key=lambda known: (-len(live.get(known.id, ())), known.id))
    tasks: dict[str, JsonObject] = {}
    for known in ranked:
        for name, task in known.tasks.items():
            shown = tasks.setdefault(name, _show_task(name, task))
            shown["classes"].append(known.id)
            shown["workers"] += len(live.get(known.id, ()))
    errors = [
        {"class": known.id, "source": error.source, "error": error.error}
        for known in [known for known in ranked if known.id in live] or ranked
        for error in known.errors
    ]
    return {"tasks": [tasks[name] for name in sorted(tasks)], "errors": errors}


def _show_task(name: str, task: TaskCapabilities) -> JsonObject:
    rate = {"rate": task.rate} if task.rate else {}
    return {
        "name": name,
        "description": task.description,
        "params": task.schema,
        "sync": task.has_sync,
        "async": task.has_async,
        "bound": task.bound,
        "classes": [],
        "workers": 0,
    } | rate
