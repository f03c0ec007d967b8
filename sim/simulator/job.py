"""What a bench must know of its unit, handed to the simulator's process through a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.layer_file import read_layer, write_layer

#: Environment variable that holds the folder.
JOB_VARIABLE = "XVOLUTION_JOB"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A unit under test.

    Attributes:
        first_output_latency: predicted, in cycles.
        frame_cycles: predicted.
        seed: of the test's stimulus and patterns.
    """

    layer: Layer
    folding: Folding
    first_output_latency: int
    frame_cycles: int
    seed: int

    def save(self, folder: Path) -> None:
        write_layer(folder / "layer.npz", self.layer)
        fields = {
            "simd": self.folding.simd,
            "pe": self.folding.pe,
            "first_output_latency": self.first_output_latency,
            "frame_cycles": self.frame_cycles,
            "seed": self.seed,
        }
        (folder / "job.json").write_text(json.dumps(fields))

    @classmethod
    def load(cls, folder: Path) -> Job:
        fields = json.loads((folder / "job.json").read_text())
        folding = Folding(simd=fields.pop("simd"), pe=fields.pop("pe"))
        return cls(layer=read_layer(folder / "layer.npz"), folding=folding, **fields)
