"""Real simulators, and programs made with them.

============  ======================================================================
`simulators`  Verilator and Icarus: the tools they need, and how they compile
`program`     a bench and a unit, compiled once and run often
`job`         what a bench must know of its unit, in the simulator's process
============  ======================================================================
"""
