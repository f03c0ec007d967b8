"""For all tests: two workers share two cores, so numpy and PyTorch get one thread each."""

import os

# Read when the libraries load, so before anything imports them.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
