"""Whole networks in integers: as they run, quantised after training, and trained while quantised.

In the order of the data flow:

=================  ================================================================
`precision`        how many bits weights and activations get
`calibration`      scales and shifts from calibration frames
`layer`            a layer quantised after training
`integer_layer`    an integer layer among float layers
`in_network`       one layer of any network in integers
`network`          a network quantised after training
`integer_network`  a network in exact integers
`fake`             a float network that computes the integers of an integer network
`qat`              quantisation-aware training
=================  ================================================================
"""
