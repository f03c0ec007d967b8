"""Blocks: what all stages are made of.

Each module imports only from those above it:

==============  =======================================================
`clock`         a domain from a clock and the register of its reset
`latency`       cycles that blocks take, without making them
`pipeline`      delays, adder trees, counters, choices
`queue`         a FIFO of a few entries
`outlet`        the queue at the end of a pipeline that never waits
`skid_buffer`   two beats in front of a stream
`memory`        read-only and written memories
`block_module`  a read-only memory in block RAMs, written as text
`memory_file`   read-only memories whose words are in files
`multiply`      products on any target, and cascades of them
`dot_product`   sums of products
`packed`        two numbers in one word
`weighted_sum`  sums of constant weights, without a multiplier
`shifter`       multiplication by a power of two that comes at run time
`rounding`      division by a power of two, rounded and saturated
==============  =======================================================
"""
