"""Names of a network's modules, whatever its steps are called."""

from __future__ import annotations

import re

import numpy as np

from golden.contract.network.builder import NetworkBuilder
from golden.contract.network.layer import LayerStep
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.result import Result
from golden.layers.random_layer import random_layer
from hw.export.network_verilog import NetworkCore, generate_network
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.plan import NetworkPlan

#: Each could be mistaken for a part of another.
NAMES = ("a", "a_lane", "A", "pool", "pool_rows", "fifo_0_0", "pacer", "x" * 64)


def network_of(names: tuple[str, ...]) -> NetworkCore:
    """A chain of steps of these names, every other one a pool of several nodes."""
    rng = np.random.default_rng(1)
    builder = NetworkBuilder(Result(channels=1, height=6, width=6, bits=2, signed=False))
    source = "input"
    for number, name in enumerate(names):
        x = builder.results[source]
        if number % 2:
            source = builder.append(MaxPool(name=name, inputs=(source,), kernel=3, stride=1, pad=1))
            continue
        layer = random_layer(
            rng,
            in_channels=1,
            out_channels=1,
            height=x.height,
            width=x.width,
            kernel=1,
            attn_offsets=(),
            in_bits=x.bits,
            in_signed=x.signed,
            weight_bits=2,
            out_bits=2,
        )
        source = builder.append(LayerStep(name=name, inputs=(source,), layer=layer))
    network = builder.network(source)
    config = NetworkConfig(network=network, foldings=up_to_lanes(network, 1), name="n" * 64)
    return generate_network(NetworkPlan(config), jobs=1)


def test_no_two_modules_have_one_name() -> None:
    """Names that differ only in case are one to some tools."""
    core = network_of(NAMES)
    modules = [name.lower() for name in re.findall(r"^module (\w+)", core.verilog, re.MULTILINE)]
    assert len(modules) > 3 * len(NAMES) and len(set(modules)) == len(modules)
    assert all(name.startswith("n" * 64) for name in modules)
