"""Plan: what is decided before any hardware is made.

The modules in the order from what is asked for to what follows:

================  ===============================================================
`reload`          what software may change in a reloadable unit
`made_of`         what multiplications are made of
`config`          what a unit is asked to be
`config_file`     a config as JSON
`geometry`        loops, taps that can matter, window extents
`schedule`        row slots and cycles of a frozen unit
`frame_schedule`  cycles of a reloadable unit
`settings`        numbers of a layer that are built in or come at run time
`scope`           what is known of frames and weights while a unit is built
`packing`         which products share a multiplier (``hadamard``)
`heads`           how heads lie in beats (``dynamic``)
`group_packing`   which products share a multiplier (``dynamic``)
`scale`           how sums are multiplied by adders
`sizes`           the numbers that follow from a config: counts, ranges, plans
`shapes`          sizes as Amaranth's shapes and layouts, down to the last width
`dsp_count`       how many multipliers a unit has, by purpose
`weight_layout`   which weight lies where in the memories and in the weight image
`block_sharing`   built-in words that lie in what others leave of their block RAMs
================  ===============================================================
"""
