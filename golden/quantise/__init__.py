"""Whole networks in integers: as they run, quantised after training, and trained while quantised.

In the order of the data flow:

=================  ================================================================
`precision`        how many bits weights and activations get
`calibration`      scales and shifts from calibration frames
`layer`            a layer quantised after training
`integer_layer`    an integer layer among float layers
`in_network`       one layer of any network in integers
`formats`          bits, signs and scales of all results of a network
`network`          a network quantised after training
`quantised`        a quantised network: its integers, and what floats know of it
`fake`             a float network that computes the integers of an integer network
`qat`              quantisation-aware training
=================  ================================================================
"""
