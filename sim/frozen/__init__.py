"""Frozen units cycle by cycle, behind AXI models.

===========  =========================================================
`exercise`   runs the tests of a unit
`tests`      the cocotb tests that every frozen unit must pass
`testbench`  driver, reference and scoreboard around a unit
`monitor`    the stream rules, and the cycles of all transfers
===========  =========================================================
"""
