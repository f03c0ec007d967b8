"""Formal proofs of the hardware. ``python -m scripts.prove`` runs them all.

What proofs are made of, and what runs them:

==============  ==========================================================
`proof`         a proof, its harness and its planted bugs
`inside`        registers and memory words of a component, for lemmas
`walk`          a simple reference of the order of reads
`streams`       what is assumed of every input, and claimed of every output
`catalogue`     all proofs
`generate`      writes harnesses as RTLIL, with a bug or without
`solve`         proves harnesses with Yosys and Z3
`test_proofs`   every proof holds, and fails with each planted bug
`conftest`      the option ``--slow-proofs``
==============  ==========================================================

What is proven, in the order of the data flow:

===============  =========================================================
`axi_lite`       the AXI4-Lite slave
`register_file`  the register file behind it
`weight_loader`  the loader of weight images
`frame_sets`     the two sets of a reloadable unit
`frame_walk`     frame writer and frame walk of a reloadable unit
`row_store`      row store and sequencer of a frozen unit
`early`          its early groups
`packed`         packed multiply-add
`rounding`       rounding and saturation
`requantise`     the stage that requantises
`queue`          the queue
`output_stream`  the output stream
`liveness`       the time until an output
`join`           the node of a network that joins two operands
`fork`           the fork to several consumers
`width_adapter`  the width adapter
`fifo`           the FIFO between nodes
===============  =========================================================
"""
