"""Training, studies, benchmarks and evidence: commands that call public functions of the packages beside them.

=================  ==================================================================
`train_digits`     trains the checked-in network and layers
`accuracy`         accuracy of networks in floats, integers and Verilog
`accuracy_digits`  the same for the layers in the digits' networks
`train_imports`    trains networks with other tools, and keeps their files
`imports`          accuracy of these, from the source's own runtime to Verilog
`show_attention`   draws the kernel that a layer applies at a pixel
`approximation`    pixel shifts beside self-attention: errors, fields, costs
`studies`          studies: what they run, what keeps results, what reports them
`study`            runs a study
`carry`            carries results over to code that computes the same
`report`           writes what a study has found
`bench_golden`     the integer model beside PyTorch
`bench`            cycles, area and clock of the unit beside the ideal and a peer
`estimate`         estimates beside what Yosys makes of the same units
`structures`       networks of the field: converted, built, beside published entries
`registers`        writes the register table
`fuzz`             random units against the integer model
`coverage`         coverage of the generated Verilog
`mutation`         planted faults, and how many the regression notices
`quick_units`      chooses the units that ``make test`` simulates
`prove`            runs the formal proofs
`verilog_hashes`   whether units still become the same Verilog
`evidence`         runs what was checked, and writes the page about it
`checkout`         what an installed package lacks
=================  ==================================================================
"""

from golden.support.cli import tell_missing_packages

tell_missing_packages()
