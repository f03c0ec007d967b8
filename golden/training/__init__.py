"""What networks are trained for: `load_task` gives a `Task` by name, with its images in memory."""

from __future__ import annotations

from golden.training.catalogue import TASKS, load_task
from golden.training.task import Examples, Task

__all__ = ["TASKS", "Examples", "Task", "load_task"]
