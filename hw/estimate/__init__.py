"""Estimate: what a unit will cost, without making it.

================  ==========================================================
`cells`           what adders, delays, memories and products take of an FPGA
`similarity`      the stages that the ``dynamic`` product brings or changes
`estimate`        all stages of a unit, and its cycles
`choose_folding`  the cheapest unit that reaches a frame rate on a device
================  ==========================================================
"""
