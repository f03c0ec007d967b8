"""What the regression covers, and which faults it notices.

==================  =================================================================
`cores`             units and networks by name, runs of networks
`gates`             a unit as gates, and as clauses for a SAT solver
`random_runs`       random runs of gates, many at once
`unreachable`       proves what a unit never does
`coverage`          points that Verilator counts, and why some cannot be reached
`measure_coverage`  the coverage of a unit under the regression
`node_kinds`        the parts of a network
`node_ranges`       what nodes of a network take, as claims about its gates
`mutants`           a unit's netlist with faults, all in one program
`equivalence`       proves which mutants do what the unit does
`argued`            reasons for mutants that are equivalent without a proof
`mutation`          what becomes of the mutants of some units
==================  =================================================================
"""
