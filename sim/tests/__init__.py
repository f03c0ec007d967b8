"""The tests that ``pytest sim/`` collects.

====================  ==============================================================
`support`             what the tests share
`test_units`          every named frozen unit, in bulk and cycle by cycle
`test_reloadable`     every named reloadable unit, cycle by cycle
`test_nodes`          every node of networks alone, cycle by cycle
`test_networks`       every named network, in bulk
`test_symptoms`       what went wrong in other tools
`test_regression`     some units through the regression of the mutants
`test_bulk`           the bulk path, and ``python -m sim.run``
`test_targets`        units made of the primitives of each family, in bulk
`test_several_units`  several units in one design
`several_bench`       the cocotb test of several units
`test_checks`         planted faults in frozen units
`test_reload_checks`  planted faults in reloadable units
`test_fuzz`           the fuzzer, with planted faults
====================  ==============================================================
"""
