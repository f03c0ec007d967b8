"""Network: whole networks of units, joined by streams.

===========  ==========================================================
`beat`       what one transfer of a stream carries
`node`       what every node has: gateware, and a model of its cycles
`nodes`      the primitive nodes that steps are made of
`edges`      what joins nodes: FIFOs, forks, width adapters, the pacer
===========  ==========================================================
"""
