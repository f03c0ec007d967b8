"""Nodes of networks, each alone, cycle by cycle.

===========  ===================================================================
`case`       a node, and what its beats and cycles should be
`cases`      the nodes by name
`exercise`   runs of a node: what is offered when, what must come out
`bench`      the cocotb test, whatever the node
===========  ===================================================================
"""
