"""Network: whole networks of units, joined by streams.

Each module imports only from those above it:

==============  ==========================================================
`beat`          what one transfer of a stream carries
`node`          what every node has: gateware, and a model of its cycles
`edges`         what joins nodes: FIFOs, forks, relays, width adapters, the pacer
`nodes`         the primitive nodes that steps are made of
`folding`       how many elements each step takes and gives a beat
`ideal`         cycles of a frame of each step where none is lost
`config`        what the hardware of a network is asked to be
`graph`         nodes joined by streams
`linear_layer`  a linear map as a layer, which a unit computes
`unit_config`   what the unit of a step is asked to be
`taps`          which inputs take their beats from the window of a unit
`lower`         each step becomes nodes
`schedule`      when every beat moves at full rate, and how deep FIFOs are
`backpressure`  when beats move where FIFOs are full, and the least depths that make no output beat late
`plan`          all that follows from a config
`regions`       the resets of nodes that lie far apart
`top`           the gateware: nodes, and the edges between them
==============  ==========================================================
"""
