"""Job: what a bench must know of its unit. It reaches the simulator's process through a folder."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hw.plan import config_file
from hw.plan.config import UnitConfig

if TYPE_CHECKING:
    from hw.export.verilog import Core

#: Environment variable that names the job's folder.
JOB_VARIABLE = "XVOLUTION_JOB"
_FILE = "job.json"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A unit under test.

    Attributes:
        config: the config that it was built from.
        first_output_latency: predicted cycles from the first input transfer to the first output transfer.
        frame_cycles: predicted initiation interval in cycles.
        seed: seed of the tests' stimulus and pauses.
        stimuli: number of random scenarios (only for ``scenario_bench``).
    """

    config: UnitConfig
    first_output_latency: int
    frame_cycles: int
    seed: int
    stimuli: int = 1

    @classmethod
    def of(cls, core: Core, *, seed: int, stimuli: int = 1) -> Job:
        """The job of testing a generated unit."""
        timing = core.manifest["timing"]
        return cls(
            config=core.config,
            first_output_latency=timing["predicted_latency"],
            frame_cycles=timing["predicted_frame_cycles"],
            seed=seed,
            stimuli=stimuli,
        )

    def save(self, folder: Path) -> None:
        config_file.save(self.config, folder)
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del fields["config"]
        (folder / _FILE).write_text(json.dumps(fields))

    @classmethod
    def load(cls, folder: Path) -> Job:
        return cls(config=config_file.load(folder), **json.loads((folder / _FILE).read_text()))
