"""Top: the nodes of a network and the edges between them.

input -> pacer -> fork -> adapter, FIFO -> node -> fork -> ... -> output

Where the target has relays, one stands before each fork, and one behind it on each edge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import reduce
from operator import and_
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, Signal, Value
from amaranth.lib import wiring

from hw.blocks.pipeline import Counter
from hw.network.beat import Beat
from hw.network.edges.adapter import Adapter
from hw.network.edges.fifo import Fifo
from hw.network.edges.fork import Fork
from hw.network.edges.pacer import Pacer
from hw.network.edges.relay import Relay
from hw.network.graph import IMAGE, Placed, Port
from hw.network.nodes.unit import UnitNode
from hw.network.regions import OUTPUT, Regions
from hw.network.schedule import Edge, NetworkSchedule
from hw.targets.families import Target
from hw.unit.unit import Streams


class Network:
    """The nodes of a network and the edges between them. The units are instances of modules that are made apart.

    Attributes:
        schedule: the nodes, the edges and when beats move.
        target: what it is for.
    """

    def __init__(self, schedule: NetworkSchedule, target: Target) -> None:
        self.schedule, self.target = schedule, target

    def add(self, m: Module, streams: Streams, regions: Regions) -> None:
        """Add the network to a module."""
        ports = {Port(node=IMAGE): self._image(m, streams, regions)}
        inputs: dict[tuple[int | None, int], Any] = {}
        for number, placed in enumerate(self.schedule.graph.nodes):
            sources, sinks = self._node(m, number, placed, regions)
            ports |= {Port(node=number, output=output): stream for output, stream in enumerate(sources)}
            inputs |= {(number, place): stream for place, stream in enumerate(sinks)}
        inputs[None, 0] = self._output(m, streams)
        self._connect(m, ports, inputs, regions)

    def _image(self, m: Module, streams: Streams, regions: Regions) -> Any:
        """The stream of the image's beats, at the network's pace."""
        graph = self.schedule.graph
        pacer = Pacer(graph.image, graph.image_beats, self.schedule.interval)
        regions.add(IMAGE, "pacer", pacer)
        m.d.comb += [
            Value.cast(pacer.i.payload).eq(streams.in_beat),
            # A beat that is taken while the network is in reset would be lost.
            pacer.i.valid.eq(reduce(and_, regions.entering, streams.in_valid)),
            streams.in_ready.eq(reduce(and_, streams.running, pacer.i.ready)),
        ]
        return pacer.o

    def _output(self, m: Module, streams: Streams) -> Any:
        """The stream that the network's output goes into."""
        graph = self.schedule.graph
        stream = graph.output_beat.signature.flip().create(path=("out",))
        transfer = streams.out_valid & streams.out_ready
        m.d.comb += [
            # A beat that is offered while the reset is on its way would not be there any more after the reset.
            streams.out_valid.eq(stream.valid & ~streams.reset),
            streams.out_beat.eq(Value.cast(stream.payload)),
            streams.out_last.eq(Counter(m, graph.output_beats, transfer, name="beat").last),
            stream.ready.eq(streams.out_ready),
        ]
        return stream

    def _node(self, m: Module, number: int, placed: Placed, regions: Regions) -> tuple[Sequence[Any], Sequence[Any]]:
        """Add a node. Returns the streams that come out of it and those that go into it."""
        node, name = placed.node, node_name(number, placed)
        if isinstance(node, UnitNode):
            return self._unit(m, node, name, regions.resetn(number))
        component = node.component()
        regions.add(number, name, component)
        outputs = [getattr(component, f"o_{place}") for place in range(len(node.outputs))]
        return outputs, [getattr(component, f"i_{place}") for place in range(len(node.inputs))]

    def _unit(self, m: Module, node: UnitNode, name: str, aresetn: Value) -> tuple[Sequence[Any], Sequence[Any]]:
        (taken,), (given, *centres) = node.inputs, node.outputs
        source, sink = given.signature.create(path=(name, "o")), taken.signature.flip().create(path=(name, "i"))
        in_data, out_data = Signal(8 * taken.bytes, name=f"{name}_in"), Signal(8 * given.bytes, name=f"{name}_out")
        m.d.comb += [in_data.eq(Value.cast(sink.payload)), Value.cast(source.payload).eq(out_data)]
        taps, ports = [beat.signature.create(path=(name, "tap")) for beat in centres], {}
        for tap in taps:
            tap_data = Signal(8 * taken.bytes, name=f"{name}_tap")
            m.d.comb += Value.cast(tap.payload).eq(tap_data)
            ports = {
                "o_m_axis_tap_tvalid": tap.valid,
                "i_m_axis_tap_tready": tap.ready,
                "o_m_axis_tap_tdata": tap_data,
            }
        m.submodules[name] = Instance(
            node.config.name,
            i_aclk=ClockSignal(),
            i_aresetn=aresetn,
            i_s_axis_tvalid=sink.valid,
            o_s_axis_tready=sink.ready,
            i_s_axis_tdata=in_data,
            o_m_axis_tvalid=source.valid,
            i_m_axis_tready=source.ready,
            o_m_axis_tdata=out_data,
            o_m_axis_tlast=Signal(name=f"{name}_last"),
            **ports,
        )
        return [source, *taps], [sink]

    def _connect(
        self, m: Module, ports: dict[Port, Any], inputs: dict[tuple[int | None, int], Any], regions: Regions
    ) -> None:
        """Connect each port to the inputs that take its beats."""
        takers = defaultdict(list)
        for edge in self.schedule.edges:
            takers[edge.source].append(edge)
        for number, (port, edges) in enumerate(takers.items()):
            beat = self.schedule.graph.beat(port)
            source = self._relayed(m, ports[port], beat, f"relay_{number}", regions, port.node)
            branches = [source]
            if len(edges) > 1:
                fork = Fork(beat, len(edges))
                regions.add(port.node, f"fork_{number}", fork)
                wiring.connect(m, source, fork.i)
                branches = [getattr(fork, f"o_{branch}") for branch in range(len(edges))]
            for edge, branch in zip(edges, branches, strict=True):
                self._way(m, edge, branch, inputs[edge.taker, edge.place], regions)

    def _relayed(self, m: Module, source: Any, beat: Beat, name: str, regions: Regions, region: int | str) -> Any:
        """The stream behind a relay, where the target has relays."""
        if not self.target.relays:
            return source
        relay = Relay(beat)
        regions.add(region, name, relay)
        wiring.connect(m, source, relay.i)
        return relay.o

    def _way(self, m: Module, edge: Edge, source: Any, sink: Any, regions: Regions) -> None:
        """Connect a stream to another through a relay, an adapter and a FIFO, the FIFO where beats are wider."""
        region, where = (OUTPUT, "output") if edge.taker is None else (edge.taker, f"{edge.taker}_{edge.place}")
        source = _trimmed(m, source, edge.given, f"trimmed_{where}")
        source = self._relayed(m, source, edge.given, f"relay_to_{where}", regions, region)
        parts: list[tuple[str, Any]] = []
        if edge.depth:
            parts.append((f"fifo_{where}", Fifo(edge.fifo_beat, edge.depth, self.target)))
        if edge.given.lanes != edge.taken.lanes:
            parts.insert(len(parts) if edge.narrows else 0, (f"adapter_{where}", Adapter(edge.given, edge.taken.lanes)))
        for name, part in parts:
            regions.add(region, name, part)
            wiring.connect(m, source, part.i)
            source = part.o
        wiring.connect(m, source, sink)


def node_name(number: int, placed: Placed) -> str:
    """The name of the instance of a node, the graph's ``number``."""
    return f"{number}_{placed.step}_{placed.part}"


def _trimmed(m: Module, source: Any, beat: Beat, name: str) -> Any:
    """The stream with elements as narrow as those of ``beat``."""
    if Value.cast(source.payload).shape().width == beat.size:
        return source
    trimmed = beat.signature.create(path=(name,))
    m.d.comb += [trimmed.payload[lane].eq(source.payload[lane]) for lane in range(beat.lanes)]
    m.d.comb += [trimmed.valid.eq(source.valid), source.ready.eq(trimmed.ready)]
    return trimmed
