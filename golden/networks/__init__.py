"""Networks around X-volution: residual networks, and what takes the place of their convolutions.

In the order of the data flow:

==========  ============================================
`step`      the steps of a network, by name
`variants`  what takes the place of convolutions
`resnet`    residual networks as steps
`network`   a network of steps, to be trained and merged
==========  ============================================
"""
