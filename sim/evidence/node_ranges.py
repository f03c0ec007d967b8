"""Ranges of what nodes of a network take, as its contract has them, as claims about its gates.

An average takes sums of so many elements. Their format has more values than such sums can have, which no proof over
gates alone sees: the sums are made over many cycles, and wait in memories.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from golden.contract.ranges import Range
from hw.network.graph import IMAGE, Graph, Port
from hw.network.nodes.reduce import Reduce
from hw.network.nodes.rescale import Rescale
from hw.network.top import node_name
from sim.evidence.gates import Bit, Gates
from sim.evidence.unreachable import Claim


def range_claims(graph: Graph, gates: Gates) -> Iterator[Claim]:
    """That no element which a `Rescale` takes is out of its range. The network's memories power up with 0."""
    for number, placed in enumerate(graph.nodes):
        if not isinstance(placed.node, Rescale):
            continue
        for place, (beat, source) in enumerate(zip(placed.node.inputs, placed.sources, strict=True)):
            # Yosys keeps one name of a net that has several. Where it is another, less is known.
            bits = gates.signals.get(f"{node_name(number, placed)}.i_{place}__payload", ())
            for first in range(0, len(bits), beat.bits):
                yield from outside(bits[first : first + beat.bits], beat.signed, element_range(graph, source))


def element_range(graph: Graph, port: Port) -> Range:
    """The range of an element of a stream, where it is known to be narrower than its format, else that of the format.

    It holds 0, as a sum that a window's padding cuts off is of fewer elements.
    """
    if port.node == IMAGE:
        return Range.of_format(graph.image.bits, graph.image.signed)
    placed = graph.nodes[port.node]
    beat = placed.node.outputs[port.output]
    if isinstance(placed.node, Reduce) and placed.node.operation == "sum":
        return element_range(graph, placed.sources[0]).times(placed.node.kernel)
    return Range.of_format(beat.bits, beat.signed)


def outside(bits: Sequence[Bit], signed: bool, allowed: Range) -> Iterator[Claim]:
    """Claims that together say that a number is not out of a range."""
    # With its sign inverted, a number is in the order of unsigned ones.
    sign = 1 << len(bits) - 1 if signed else 0
    for limit, beyond in ((allowed.low + sign, 0), (allowed.high + sign, 1)):
        # A number beyond a limit has the limit's upper bits, then one that differs.
        for place in range(len(bits)):
            if limit >> place & 1 != beyond:
                number = (limit ^ 1 << place) ^ sign
                yield Claim(now=tuple((bits[index], number >> index & 1) for index in range(place, len(bits))))
