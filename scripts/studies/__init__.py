"""Studies: declared grids of runs, what runs and keeps them, and the report of what came out.

===============  =================================================================
`functions`      what a run calls, by name
`experiment`     a run of an experiment
`demands`        data set and time of an experiment
`approximation`  a run that approximates self-attention by pixel shifts
`attention`      a run that finds where attention is at work
`rtl`            a run that simulates the layers of an experiment in Verilog
`hardware`       runs that estimate and synthesise whole networks
`accuracy`       a batch of images through a network in floats, integers and Verilog
`grid`           a study and its runs
`catalogue`      the studies there are
`content`        what identifies a result
`result`         how a run ended
`store`          results in a database
`plan`           what is left to do, and how long it takes
`worker`         one run, where it runs
`engine`         runs on processes of this machine or on a cluster
`live`           how a study goes on, on the terminal
`places`         options: where runs are computed and kept
`batches`        batches of several networks, by what has them stored
`trained`        the networks of a study's run, trained again
`subjects`       networks and images that accuracy is measured of
`verdict`        what came of them, in words
`metrics`        what figures are called in words, and what range they have
`rows`           runs that differ only in their seed
`statistics`     means, intervals and paired differences
`costs`          which runs tell what networks take of an FPGA
`report`         the results in tables
`plots`          the report's pictures
`page`           the report as a page
===============  =================================================================
"""
