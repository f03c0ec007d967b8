# Two commands on a fresh clone: `make build` writes the Verilog of the default network, `make test`
# runs the quick tests. `make check` runs all that CI runs, `make nightly` what takes hours. Set-up
# lives in .venv and is redone only when pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
export PIP_DISABLE_PIP_VERSION_CHECK := 1
RUN := $(VENV)/bin/python
ARGS ?=
PIP_ARGS ?=

PYTEST := $(RUN) -m pytest -n 2 --dist worksteal

.PHONY: build test check nightly lint quick tests prove clean

build: $(VENV)/core.stamp
	$(RUN) -m hw.build $(ARGS)

test: lint quick

# Quick tests and the others are one run: two would collect all tests twice. Types take one core, beside the tests.
check: $(VENV)/full.stamp
	@$(MAKE) lint & $(MAKE) tests; status=$$?; wait $$! || status=$$?; exit $$status

lint: $(VENV)/full.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(RUN) -m mypy

quick tests: $(VENV)/full.stamp
	@for tool in g++ perl; do command -v $$tool >/dev/null \
	  || { echo "error: $$tool is missing, Verilator needs it (Debian: apt install $$tool)" >&2; exit 2; }; done
	$(PYTEST) -m "$(if $(filter quick,$@),not thorough and )not nightly" $(ARGS)

# Cases that `make check` leaves out as they only repeat, foul input and random units and networks that nobody has
# tried, then all that the evidence page reports, proofs included.
nightly: check
	$(PYTEST) -m nightly
	XVOLUTION_EXAMPLES=300 $(PYTEST) tests/test_cli_fuzz.py
	$(RUN) -m scripts.fuzz --count 200 --stimuli 20 --seed $$(date +%Y%m%d)
	$(RUN) -m scripts.evidence

# All formal proofs and the bugs planted to see them fail; `make check` runs the quick ones.
prove: $(VENV)/full.stamp
	$(RUN) -m scripts.prove $(ARGS)

clean:
	rm -rf build $(VENV)

$(VENV)/core.stamp: pyproject.toml | $(VENV)/made.stamp
	$(RUN) -m pip install --quiet $(PIP_ARGS) --editable .
	touch $@

$(VENV)/full.stamp: pyproject.toml | $(VENV)/made.stamp
	$(RUN) -m pip install --quiet $(PIP_ARGS) --editable '.[test]'
	touch $@ $(VENV)/core.stamp

# Debian splits venv off its Python; say so instead of showing a traceback.
$(VENV)/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: $(PYTHON) is missing or older than 3.11; install it (Debian: apt install python3) or set PYTHON" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "error: $(PYTHON) has no venv module; install it (Debian: apt install python3-venv)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	touch $@
