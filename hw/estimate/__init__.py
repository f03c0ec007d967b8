"""Estimate: what a unit or a network will cost, without making it.

========================  ==========================================================
`inference`               which RAMs Yosys makes a memory of
`cells`                   what adders, delays, memories and products take of an FPGA
`shifters`                multiplications by a power of two that is a setting
`kind`                    what depends on whether the layer is built in
`frozen`                  what only a frozen unit has
`reloadable`              what only a reloadable unit has
`similarity`              the stages that the ``dynamic`` product brings or changes
`estimate`                all stages of a unit, and its cycles
`fit`                     whether a unit or a network fits a device
`choose_folding`          the cheapest unit that reaches a frame rate on a device, and what fits at all
`streams`                 counters, queues and the ends of pipelines
`nodes`                   the nodes of a network, by their type
`edges`                   what joins the nodes of a network
`network`                 all steps of a network
`choose_network_folding`  the cheapest folding of each step within a number of cycles
========================  ==========================================================
"""
