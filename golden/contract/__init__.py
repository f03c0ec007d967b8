"""The contract: what files and integers mean, for models and hardware alike.

In the order of the data flow:

==============  ====================================================
`fields`        fields of files, and refusals by name
`ranges`        ranges of integers and of weighted sums
`rounding`      what becomes of the fraction where a result is made
`layer_config`  geometry and number formats of a layer
`bounds`        proven ranges of every intermediate of a layer
`extremes`      bounds that hold for all weights of a format
`frames`        integer frames, and refusals of wrong ones
`layer`         a layer, its config and integer arrays
`layer_file`    layers in files
`costs`         useful multiply-accumulates
`network`       networks of steps, and their files
`model_file`    files of either kind
`ports`         what goes into a layer or a network, and what comes out
`scales`        real values to integers and back
`powers`        multipliers that are powers of two
`folding`       how many channels a unit works on at once
`streams`       frames as beats, and beats as bits
==============  ====================================================
"""
