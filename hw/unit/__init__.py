"""The unit: its stages, and how they are wired.

The modules in the order of the data flow:

====================  ====================================================================
`front`               what stands before the stages, as they see it
`row_write`           an input beat and its place in the row store
`row_store`           the last few input rows
`sequencer`           which beat enters the pipeline in each cycle
`window`              delay lines that make taps of columns
`head_sum`            sums over the channels of each head
`similarity`          how alike the centre and each attention tap are (``dynamic``)
`word_store`          weights, biases and multipliers
`tap_macs`            sums over the taps
`scaling`             multiplication by a power of two that is a setting
`attention_combine`   the attention's sum meets the centre and the static sum
`similarity_combine`  each tap's sum meets its similarity and the static sum (``dynamic``)
`channel_accumulate`  the sum over channels, with the bias
`turns`               products of sums and multipliers, of adders that work many times
`requantise`          scaling, rounding, saturation
`lane`                the stages of one output channel
`output_stream`       the output FIFO and port
`digit_walk`          which digits of the multipliers are read
`timetable`           when each stage works on a beat
`unit`                the wiring of all stages, between two streams
====================  ====================================================================
"""
