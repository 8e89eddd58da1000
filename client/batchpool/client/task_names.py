"""The name of a task that is given as a name or as the registered function itself."""


def task_name(task: object) -> str:
    """Return the name under which workers know a task.

    Raises:
        TypeError: it is neither a name nor a task.
    """
    name = (
        task if isinstance(task, str) else getattr(task, "name", None) if callable(task) else None
    )
    if not isinstance(name, str):
        shown = repr(task)
        shown = shown if len(shown) <= 200 else f"{shown[:200]}…"
        raise TypeError(
            f"{shown} is not a registered task; give a function declared with @task, or its name"
        )
    return name
