"""The unit's manifest, ``xvolution.json``: what a user, a test bench or a script must know of it."""

from __future__ import annotations

import dataclasses
from typing import Any

from hw.config import UnitConfig
from hw.top import Unit


def manifest(config: UnitConfig, unit: Unit) -> dict[str, Any]:
    p = config.prediction
    return {
        "timing": {
            "first_output_latency": p.first_output_issue + unit.latency,
            "frame_cycles": p.frame_cycles,
            "ideal_frame_cycles": config.geometry.ideal_frame_cycles,
        },
    }
