"""Reloadable units cycle by cycle, behind AXI models and the driver.

================  ===============================================================
`exercise`        runs the tests of a unit
`tests`           the cocotb tests that every reloadable unit must pass
`scenario`        random scenarios: what software and streams do
`scenario_bench`  the cocotb test that plays random scenarios
`testbench`       all that drives a unit and all that watches it
`board`           AXI models around a unit, as the driver sees them
`port_monitor`    the rules at all ports, and what passes through them
`reference`       what must pass through the ports
================  ===============================================================
"""
