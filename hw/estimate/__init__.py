"""Estimate: what a unit will cost, without making it.

================  ==========================================================
`cells`           what adders, delays, memories and products take of an FPGA
`shifters`        multiplications by a power of two that is a setting
`kind`            what depends on whether the layer is built in
`frozen`          what only a frozen unit has
`reloadable`      what only a reloadable unit has
`similarity`      the stages that the ``dynamic`` product brings or changes
`estimate`        all stages of a unit, and its cycles
`fit`             whether a unit fits a device
`choose_folding`  the cheapest unit that reaches a frame rate on a device, and what fits at all
================  ==========================================================
"""
