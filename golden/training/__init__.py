"""Tasks and training. `load_task` gives a `Task` by name, with its images in memory.

In the order of the data flow:

=============  =====================================
`image_files`  image files as pixels
`sources`      data sets on disk
`task`         what training needs to know of a task
`catalogue`    the tasks by name
`train`        training that a seed decides
=============  =====================================
"""

from __future__ import annotations

from golden.training.catalogue import TASKS, load_task
from golden.training.task import Examples, Task

__all__ = ["TASKS", "Examples", "Task", "load_task"]
