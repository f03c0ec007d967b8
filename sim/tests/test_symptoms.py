"""Symptoms of peers: what went wrong in other tools, as checks of this one.

Each docstring says what happened elsewhere, and where that is on record.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.contract.network.avg_pool import AvgPool
from golden.contract.network.layer import LayerStep
from golden.contract.network.network import IMAGE
from golden.layers.random_layer import at_limits, random_layer
from hw.export.network_verilog import generate_network
from hw.network.config import NetworkConfig
from hw.network.plan import NetworkPlan
from sim.bulk.result import SimulationResult
from sim.bulk.simulate import simulate
from sim.cases.graphs import Drawing, GraphCase
from sim.cases.stimulus import extreme_images, random_images
from sim.nodes.cases import NODES
from sim.nodes.exercise import exercise_node
from sim.tests.support import check_verdicts, installed

thorough, nightly = pytest.mark.thorough, pytest.mark.nightly


def check(
    config: NetworkConfig,
    frames: np.ndarray | None = None,
    pauses: Sequence[tuple[float, float]] = ((0.0, 0.0),),
    reset_at: int = 0,
) -> SimulationResult:
    """Simulate a network: all bits are right, and without pauses all cycles. Returns the last result."""
    core = generate_network(NetworkPlan(config), jobs=1)
    if frames is None:
        image = config.network.image
        frames = np.concatenate([random_images(np.random.default_rng(0), image, 2), extreme_images(image)[:3]])
    for idle, stall in pauses:
        simulator = installed("icarus").name
        result = simulate(core, frames, simulator=simulator, idle=idle, stall=stall, seed=1, reset_at=reset_at)
        assert result.passed, result.complaints()
        if not (idle or stall):
            assert result.timing_complaints(core.manifest["timing"]) == []
    return result


@thorough
def test_one_skip_hangs() -> None:
    """A U-Net with a single skip never ended: the FIFO beside the deep way was too shallow (Xilinx/finn 1094)."""

    def draw(d: Drawing) -> str:
        top = d.layer(IMAGE, 1, kernel=1)
        deep = d.layer(d.layer(d.max_pool(top, 4, 4), 2), 1)
        return d.concat(d.upsample(deep, 4), top)

    check(GraphCase(draw=draw, image=(1, 8, 8)).config(1), pauses=((0.0, 0.0), (0.9, 0.0), (0.0, 0.9), (0.7, 0.7)))


@thorough
def test_long_residual_path_overflows() -> None:
    """The counter of a FIFO beside a very long path was too narrow for what came to be in it (Xilinx/finn 1679)."""

    def draw(d: Drawing) -> str:
        x = top = d.layer(IMAGE, 1, kernel=1)
        for _ in range(3):
            x = d.layer(x, 1, kernel=7, weight_bits=2)
        return d.add(x, top)

    config = GraphCase(draw=draw, image=(1, 5, 40)).config(2)
    depths = [edge.depth for edge in NetworkPlan(config).schedule.edges]
    # More than a byte counts, and more than a frame.
    assert max(depths) > 256 and max(depths) > 5 * 40
    check(config, pauses=((0.0, 0.0), (0.0, 0.5)))


@thorough
@pytest.mark.parametrize(
    "name", ["fifo_of_one", *(pytest.param(name, marks=nightly) for name in ("fifo_in_luts", "fifo_in_a_block"))]
)
def test_fifo_repeats_its_first_word_after_reset(name: str, tmp_path: Path) -> None:
    """A FIFO refused the word it took in the first cycle after reset, and so got it twice (Xilinx/finn 695)."""
    check_verdicts(exercise_node(NODES[name], installed("icarus"), tmp_path, seed=3), 1, name)


@thorough
@pytest.mark.parametrize("image", [(2, 5, 8), pytest.param((2, 8, 3), marks=nightly)])
def test_1x1_stride_2_on_frames_that_are_not_square(image: tuple[int, int, int]) -> None:
    """A downsampling 1x1 convolution took the frame's height for its width, or the reverse (Xilinx/finn 1033)."""
    check(GraphCase(draw=lambda d: d.layer(IMAGE, 2, kernel=1, stride=2), image=image).config(3))


@thorough
@pytest.mark.parametrize("target", ["ecp5", pytest.param("xcup", marks=nightly)])
def test_operand_wider_than_the_multipliers_port(target: str) -> None:
    """Operands wider than a multiplier's port lost their upper bits without a word (Xilinx/finn 1692).

    A sum of 40 x 40 elements of 16 bits has 27 bits, and the multiplier 16. Frames of all highest elements reach that.
    """

    def draw(d: Drawing) -> str:
        (x,) = [d.add(IMAGE, IMAGE, bits=16)]
        return d.append(
            AvgPool(
                name="mean",
                inputs=(x,),
                kernel="frame",
                stride=1,
                multiplier=41943,
                shift=26,
                out_bits=16,
                out_signed=False,
            )
        )

    config = GraphCase(draw=draw, image=(1, 40, 40), lanes=1, target=target).config(4)
    frames = extreme_images(config.network.image)[:1]
    result = check(config, frames)
    # Beyond what 18 bits of the sum would give.
    assert result.beats.max() > 2**18 * 41943 / 2**26


@thorough
def test_comparisons_narrower_than_accumulators() -> None:
    """Thresholds narrower than the accumulators they were compared with cut these (Xilinx/finn 1561).

    All weights, biases, multipliers and elements are at their limits, results have two bits.
    """

    def draw(d: Drawing) -> str:
        x = d.results[IMAGE]
        layer = random_layer(d.rng, in_channels=4, out_channels=4, height=x.height, width=x.width, out_bits=2)
        signs = lambda array: 1 - 2 * (np.indices(array.shape).sum(axis=0) % 2)  # noqa: E731
        return d.append(LayerStep(name="limits", inputs=(IMAGE,), layer=at_limits(layer, signs)))

    config = GraphCase(draw=draw, image=(4, 3, 3), lanes=4).config(5)
    result = check(config, extreme_images(config.network.image))
    assert len(np.unique(result.beats)) > 1


@thorough
def test_estimated_cycles_off_by_orders() -> None:
    """The cycles of a repeated block were estimated eighty times too high, from those of its parts (Xilinx/finn 1614).

    Here, the cycles of a frame are neither those of all steps together nor those of the first.
    """

    def draw(d: Drawing) -> str:
        x = IMAGE
        for number in range(4):
            x = d.layer(x, 4, folding=(1, 1) if number == 2 else (4, 2))
        return x

    config = GraphCase(draw=draw, image=(4, 3, 4)).config(6)
    plan = NetworkPlan(config)
    slowest = 3 * 4 * 4 * 4
    assert plan.timing["predicted_frame_cycles"] == slowest == max(plan.step_cycles.values())
    assert check(config).frame_cycles[-1] == slowest


@thorough
def test_skip_reads_one_copy_twice() -> None:
    """Of two copies of a stream both consumers read the first; the second stayed full (fastmachinelearning/hls4ml 707).

    Another step takes the stream twice itself, and one more takes it late.
    """

    def draw(d: Drawing) -> str:
        x = d.layer(IMAGE, 2)
        both = d.add(x, d.layer(x, 2))
        return d.concat(x, d.add(both, both), x, d.layer(both, 1, kernel=5))

    check(GraphCase(draw=draw, image=(2, 3, 4), lanes=1).config(7), pauses=((0.0, 0.0), (0.4, 0.4)))


def test_fifo_deeper_than_its_stream_is_long() -> None:
    """The FIFO behind a first layer was found to need twice the beats of a frame (fastmachinelearning/hls4ml 1049).

    A chain of layers that are alike needs no FIFO, as none is ever faster than the one behind it.
    """

    def draw(d: Drawing) -> str:
        x = IMAGE
        for _ in range(3):
            x = d.layer(x, 2, folding=(2, 1))
        return x

    edges = NetworkPlan(GraphCase(draw=draw, image=(2, 20, 65)).config(8)).schedule.edges
    assert [edge.depth for edge in edges[:-1]] == [0, 0, 0]


@thorough
@pytest.mark.parametrize("image", [pytest.param((2, 5, 6), marks=nightly), (1, 4, 7)])
def test_pool_of_size_1_and_stride_2(image: tuple[int, int, int]) -> None:
    """Pools whose stride is larger than their size were refused or counted wrong (fastmachinelearning/hls4ml 995)."""
    config = GraphCase(draw=lambda d: d.max_pool(IMAGE, 1, 2), image=image, lanes=1).config(9)
    frames = random_images(np.random.default_rng(9), config.network.image, 3)
    result = check(config, frames)
    assert result.frames is not None and (result.frames == frames[:, :, ::2, ::2]).all()


@thorough
def test_average_pools_truncate() -> None:
    """Averages were cut to the input's format, and rounded down (fastmachinelearning/hls4ml 1297).

    Sums of all remainders and both signs, ties among them, against fractions rounded by Python.
    """

    def draw(d: Drawing) -> str:
        sizes: dict[str, Any] = {"kernel": 2, "stride": 2, "multiplier": 1, "shift": 2, "out_bits": 5}
        return d.append(AvgPool(name="mean", inputs=(IMAGE,), out_signed=True, **sizes))

    config = GraphCase(draw=draw, image=(1, 2, 64), bits=5, signed=True).config(10)
    frames = np.zeros((1, 1, 2, 64), np.int64)
    frames[0, 0, 0, ::2] = np.arange(-16, 16)
    frames[0, 0, 1, 1::2] = np.arange(-16, 16) // 2
    result = check(config, frames)
    sums = frames.reshape(2, 32, 2).sum(axis=(0, 2)).tolist()
    assert result.beats.ravel().tolist() == [round(Fraction(total, 4)) for total in sums]
    assert {total % 4 for total in sums} == {0, 1, 2, 3}


@thorough
@pytest.mark.parametrize("image", [(2, 5, 4), pytest.param((1, 6, 7), marks=nightly)])
def test_padded_pools_of_streams(image: tuple[int, int, int]) -> None:
    """Pools with padding gave wrong frames where they work on streams (fastmachinelearning/hls4ml 617)."""

    def draw(d: Drawing) -> str:
        return d.concat(d.max_pool(IMAGE, 3, 2, 1), d.max_pool(d.max_pool(IMAGE, 3, 1, 1), 3, 2, 1))

    check(GraphCase(draw=draw, image=image).config(11), pauses=((0.0, 0.0), (0.4, 0.4)))


@thorough
def test_grouped_layer_is_computed_densely() -> None:
    """Layers of as many groups as channels ran as dense ones, with wrong sums (fastmachinelearning/hls4ml 1486, 1524).

    Each channel sees its own inputs alone, and a frame takes a cycle a beat.
    """
    config = GraphCase(draw=lambda d: d.layer(IMAGE, 4, groups=4), image=(4, 3, 4)).config(12)
    assert NetworkPlan(config).timing["predicted_frame_cycles"] == 3 * 4 * 4 // 2
    (frame,) = random_images(np.random.default_rng(12), config.network.image, 1)
    alone = np.zeros((4, *frame.shape), np.int64)
    for channel in range(4):
        alone[channel, channel] = frame[channel]
    outputs = check(config, np.concatenate([frame[None], alone])).frames
    assert outputs is not None
    for channel in range(4):
        assert (outputs[1 + channel, channel] == outputs[0, channel]).all()


@thorough
def test_max_pools_pad_with_zero() -> None:
    """The border of a max pool counted as zeros, the largest of all that is negative (pytorch/pytorch 33382)."""
    config = GraphCase(draw=lambda d: d.max_pool(IMAGE, 3, 1, 1), image=(2, 3, 4), bits=4, signed=True).config(13)
    frames = random_images(np.random.default_rng(13), config.network.image, 3) // 2 - 4
    assert frames.max() < 0
    result = check(config, frames)
    assert result.beats.max() < 0 and result.beats.min() > frames.min()
