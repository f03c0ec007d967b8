"""Generated units and networks in real simulators, compared with the integer model.

=============  ==============================================================
`cases`        units and networks by name, random ones, input frames
`primitives`   Verilog models of FPGA primitives
`simulator`    the simulators, and programs made with them
`bulk`         whole frames at simulator speed
`frozen`       frozen units cycle by cycle
`reloadable`   reloadable units cycle by cycle, and the reference of their ports
`nodes`        nodes of networks, each alone, cycle by cycle
`evidence`     coverage, mutants, proofs of what is equivalent
`tests`        what ``pytest sim/`` collects
`conftest`     the options of ``pytest sim/``
`run`          ``python -m sim.run``: frames through a unit or a network
`replay`       ``python -m sim.replay``: one random scenario again
=============  ==============================================================
"""
