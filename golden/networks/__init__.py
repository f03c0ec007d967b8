"""Networks around X-volution: residual networks, and what takes the place of their convolutions.

In the order of the data flow:

===========  ================================================================
`variants`   what takes the place of convolutions
`resnet`     residual networks as steps
`published`  networks of the field as plain PyTorch modules, to be converted
===========  ================================================================
"""
