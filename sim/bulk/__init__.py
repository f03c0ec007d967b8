"""Whole frames through a unit at simulator speed.

===========  ===================================================================
`simulate`   a whole run: stimulus, program, comparison
`bench`      the cocotb side of ``bulk.v``, which streams the frames; Verilator's programs need one
`recording`  what ``bulk.v`` leaves behind
`reference`  what must come out, by the integer model
`result`     what came out, compared with it
===========  ===================================================================
"""
