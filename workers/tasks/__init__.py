"""Tasks: the functions a job may name. `from workers.tasks import task` declares one."""

from workers.tasks.declare import Task, task
from workers.tasks.registry import Registry, TaskSources, load_tasks

__all__ = ["Registry", "Task", "TaskSources", "load_tasks", "task"]
