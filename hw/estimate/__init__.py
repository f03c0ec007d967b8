"""Estimate: what a unit or a network will cost, without making it.

========================  ==================================================================================
`inference`               which RAMs Yosys makes a memory of, where the choice is its own
`cells`                   what adders, delays, memories and products take of an FPGA
`shifters`                multiplications by a power of two that comes at run time
`scales`                  products of sums and multipliers that take no multiplier
`kind`                    what depends on whether the layer is built in
`frozen`                  what only a frozen unit has
`reloadable`              what only a reloadable unit has
`similarity`              the stages that the ``dynamic`` product brings or changes
`estimate`                all stages of a unit, and its cycles
`fit`                     whether a unit or a network fits a device
`wish`                    what is to be reached on a device, and what may be used of it
`solver`                  one option of each of several groups, so that all together take the least
`choose_for_device`       the fewest cycles that fit a device, or the least design that is fast enough
`chosen_rows`             what is said of what was chosen
`hopeless`                what is so far beyond a device that its estimate is not worth while
`layer_space`             all foldings of a layer on a device, and whether a unit fits it at all
`streams`                 what nodes and edges of a network are built from: counters, queues, ends of pipelines
`nodes`                   the nodes of a network
`edges`                   its forks, width adapters, FIFOs and pacer
`network`                 all of them together
`choose_network_folding`  each step within a number of cycles, as cheap as it can be
`network_space`           all foldings of a network on a device
========================  ==================================================================================
"""
