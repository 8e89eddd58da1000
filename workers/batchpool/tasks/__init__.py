"""Tasks: the functions a job may name. `from batchpool.tasks import task` declares one."""

from batchpool.tasks.decorator import Task, task
from batchpool.tasks.registry import Registry, load_tasks
from batchpool.tasks.sources import TaskSources

__all__ = ["Registry", "Task", "TaskSources", "load_tasks", "task"]
