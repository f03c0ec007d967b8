"""Layers in floating point, as PyTorch modules.

In the order of the data flow:

================  ===================================================
`sliding`         how a kernel slides over frames
`parts`           parts as they compute: weights baked, hooks refused
`norms`           norms that are a scale and a shift of each channel
`convolution`     plain convolutions
`pixel_shift`     pixel-shift attention
`self_attention`  attention over all pixels
`xvolution`       the layer as it is trained
`linear_shift`    its control without the product
`merge`           batch norms and branches folded into weights
`dynamic_conv`    the merged form of the layer
`step`            the steps of a network, by name
`network`         a network of steps, to be trained and merged
`stacked`         layers that merge into networks of several
`takers`          who takes a module's result in any network
`replace`         X-volution in any network, and merged there
================  ===================================================
"""
