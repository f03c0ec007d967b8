"""Frozen: what a unit has whose layer is built in.

The modules in the order of the data flow:

==============  ==================================================
`beat_writer`   takes input beats and puts them into the row store
`input_order`   the beats that read the row store, as numbers
`input_walk`    the gateware that walks over these beats
`positions`     counts the output positions
`frozen_words`  weights and constants that are built in
`frozen_unit`   the frozen unit of these parts
==============  ==================================================
"""
