"""Control: what software writes and reads, and how that reaches the stages of a reloadable unit.

First the register table, then what is made of it for software, without Amaranth, then the gateware:

================  ========================================================
`register_table`  what a register table is made of
`registers`       the registers of a reloadable unit
`loadable`        whether a layer fits a unit, and what is written to load it
`layer_words`     a layer as a binary file and as an object in C
`header`          a register table as a C header
`systemrdl`       a register table as SystemRDL
`register_page`   a register table to read
`files`           all files that a register table becomes
`driver`          the unit from the side of software
`interface`       what the control plane and the data path tell each other
`axi_lite`        the AXI4-Lite slave
`register_file`   a register table as gateware
`weight_loader`   beats of a weight image to words of memories
`counters`        what happens, counted
`control`         the wiring of the gateware
================  ========================================================
"""
