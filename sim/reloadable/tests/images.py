"""Malformed weight images: an image of a wrong length loads nothing."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from hw.control.registers import APPLY_PARTS
from hw.plan.weight_layout import weight_image
from sim.reloadable.tests.unit import SHAPES, SINGLE_BUFFERED, generator, loaded


@cocotb.test()
async def malformed_images(dut: Any) -> None:
    """Images that are too short or too long are void and set an error. Interrupted images are void.

    The next whole image is loaded. No frame ever differs.
    """
    rng = generator("malformed_images")
    bench, layer = await loaded(dut, rng)
    driver, image = bench.driver, weight_image(SHAPES)
    if not SINGLE_BUFFERED:
        bench.send(rng, layer, 3)
    else:
        await bench.within(driver.hold(True))
    for beats, error in (
        (image[:1], "weights_short" if len(image) > 1 else None),
        (image[:-1], "weights_short" if len(image) > 1 else None),
        (np.append(image, 0), "weights_long"),
        (np.concatenate([image, image, image]), "weights_long"),
    ):
        if error is None:
            continue
        bench.send_image(beats)
        await bench.until(bench.board.weights.idle)
        await ClockCycles(dut.aclk, 10)
        assert not (await driver.status())["loaded"]
        await bench.refused(driver.apply(APPLY_PARTS))
        await bench.expect_errors(error, "apply_refused")
    # An interrupted image: the rest of it is never sent, and the next load begins with a restart.
    bench.board.weights.pause = True
    bench.send_image(image)
    taken = int(rng.integers(1, len(image))) if len(image) > 1 else 0
    bench.board.weights.pause = False
    await ClockCycles(dut.aclk, taken + 1)
    bench.drop_image()
    other = bench.layer(rng)
    await bench.within(driver.hold(False))
    await bench.settle()
    await bench.within(driver.load(other))
    bench.send(rng, other, 2)
    await bench.settle()
    await bench.expect_errors()
