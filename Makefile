# `make help` lists the targets. PYTHON=python3.12 chooses the interpreter of .venv.

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed-$(notdir $(PYTHON))
TESTABLE := $(VENV)/.testable-$(notdir $(PYTHON))
LINTABLE := $(VENV)/.lintable-$(notdir $(PYTHON))
PIP := $(VENV)/bin/pip --quiet --disable-pip-version-check
TORCH := torch==2.13.0
BUCKETS := gcsfs google-crc32c s3fs 'gcp-storage-emulator>=2026.7' 'moto[s3,server]>=5.2'
LIBTPU := "from importlib.metadata import requires; print(*[r.split(';')[0] for r in requires('jax') if 'libtpu' in r])"

.PHONY: help demo test test-all lint mutants

help:  ## lists the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-8s %s\n", $$1, $$2 }'

demo: $(STAMP)  ## trains a small model on the embedded corpus and dubs a held-out face
	$(VENV)/bin/python demo.py --output=runs/demo

# Two at a time: a compiler keeps one core busy, and most of a test is compiling.
test: $(TESTABLE)  ## runs the tests, all but the slow ones
	$(VENV)/bin/python -m pytest --numprocesses=2 --dist=worksteal -m 'not slow'

test-all: $(TESTABLE)  ## runs all tests
	$(VENV)/bin/python -m pytest --numprocesses=2 --dist=worksteal

lint: $(LINTABLE)  ## checks style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

mutants: $(TESTABLE)  ## puts small faults into the code and lists those that no test notices
	$(VENV)/bin/python -m benchmarks.robustness.mutants --report=docs/mutants.md

$(STAMP): pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install -e .
	touch $@

$(LINTABLE): $(STAMP)
	$(PIP) install -e '.[dev]'
	touch $@

$(TESTABLE): $(STAMP)
	$(PIP) install -e '.[test]'
# By themselves: asked for at once with all else, pip tries hundreds of versions of others.
	$(PIP) install $(BUCKETS)
# The compiler for TPUs goes elsewhere: where Python can import it, JAX looks for chips at every start, and complains.
ifeq ($(shell uname -sm),Linux x86_64)
	$(PIP) install --no-deps --target $(VENV)/tpu "$$($(VENV)/bin/python -c $(LIBTPU))"
endif
# PyTorch without CUDA, where the index has it: no test needs CUDA's gigabytes.
	$(PIP) install '$(TORCH)+cpu' || $(PIP) install '$(TORCH)'
	touch $@
