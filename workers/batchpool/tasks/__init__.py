"""Tasks: the functions a job may name. `from batchpool.tasks import task` declares one."""

from batchpool.tasks.decorator import Task, task
from batchpool.tasks.registry import Registry, TaskSources, load_tasks

__all__ = ["Registry", "Task", "TaskSources", "load_tasks", "task"]
