"""Layers and networks in exact integers.

In the order of the data flow:

=============  =================================================
`rounding`     quotients by powers of two, and saturation
`tiles`        the memory that the fast model works in
`similarity`   the similarity stage of the fast model
`integer`      the fast model of a layer
`fused`        the weights that a layer applies at one position
`fixed_point`  the readable model, a second opinion on `integer`
`network`      whole networks, step by step
`run`          a layer or a network, with a progress bar
=============  =================================================
"""
