"""What the benches of a reloadable unit must know of it, handed to the simulator's process through a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from golden.contract.folding import Folding
from golden.contract.layer_file import read_layer, write_layer
from golden.contract.ranges import Range
from hw.plan.config import UnitConfig
from hw.plan.reload import Reload
from hw.targets.families import TARGETS


@dataclass(frozen=True, kw_only=True)
class ReloadJob:
    """A reloadable unit under test.

    Attributes:
        config: what it was built from.
        latency: cycles from the issue of an output's last beat to its transfer.
        seed: of the tests' stimulus and pauses.
        stimuli: number of random scenarios (only for ``scenario_bench``).
    """

    config: UnitConfig
    latency: int
    seed: int
    stimuli: int = 1

    def save(self, folder: Path) -> None:
        config, reload = self.config, self.config.reload
        assert reload is not None
        write_layer(folder / "layer.npz", config.layer)
        fields = {
            "simd": config.folding.simd,
            "pe": config.folding.pe,
            "target": config.target.name,
            "pack": config.pack,
            "attn_shift": [reload.attn_shift.low, reload.attn_shift.high],
            "out_shift": [reload.out_shift.low, reload.out_shift.high],
            "single_buffered": reload.single_buffered,
            "latency": self.latency,
            "seed": self.seed,
            "stimuli": self.stimuli,
        }
        (folder / "job.json").write_text(json.dumps(fields))

    @classmethod
    def load(cls, folder: Path) -> ReloadJob:
        fields = json.loads((folder / "job.json").read_text())
        reload = Reload(
            attn_shift=Range(*fields["attn_shift"]),
            out_shift=Range(*fields["out_shift"]),
            single_buffered=fields["single_buffered"],
        )
        config = UnitConfig(
            layer=read_layer(folder / "layer.npz"),
            folding=Folding(simd=fields["simd"], pe=fields["pe"]),
            target=TARGETS[fields["target"]],
            pack=fields["pack"],
            reload=reload,
        )
        return cls(config=config, latency=fields["latency"], seed=fields["seed"], stimuli=fields["stimuli"])
