# make demo    trains a small model on the embedded corpus and dubs a held-out face with held-out speech
# make test    runs the tests
# make lint    checks style, with ruff
# make mutants puts small faults into the code, one at a time, and says which of them no test notices: docs/mutants.md
# PYTHON=python3.12 chooses the interpreter that .venv is made with.

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed-$(notdir $(PYTHON))
TESTABLE := $(VENV)/.testable-$(notdir $(PYTHON))
TORCH := torch==2.13.0
LIBTPU := "from importlib.metadata import requires; print(*[r.split(';')[0] for r in requires('jax') if 'libtpu' in r])"

.PHONY: demo test lint mutants

demo: $(STAMP)
	$(VENV)/bin/python demo.py --output=runs/demo

# Two at a time: compilers work on one core, and most of a test is that.
test: $(TESTABLE)
	$(VENV)/bin/python -m pytest --numprocesses=2 --dist=worksteal

lint: $(STAMP)
	$(VENV)/bin/pip install --quiet -e '.[dev]'
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

mutants: $(TESTABLE)
	$(VENV)/bin/python -m benchmarks.mutants --report=docs/mutants.md

$(STAMP): pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(TESTABLE): $(STAMP)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[test]'
# The compiler for TPUs, apart: where Python can import it, every start of JAX looks for chips and complains of none.
ifeq ($(shell uname -sm),Linux x86_64)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --target $(VENV)/tpu \
	  "$$($(VENV)/bin/python -c $(LIBTPU))"
endif
# PyTorch without CUDA, whose gigabytes no test needs, where the index has that.
	$(VENV)/bin/pip install --quiet --disable-pip-version-check '$(TORCH)+cpu' || \
	  $(VENV)/bin/pip install --quiet --disable-pip-version-check '$(TORCH)'
	touch $@
