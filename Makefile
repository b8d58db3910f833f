# make run         install into .venv and start aiproxy with its demo upstream
# make test        install what tests need and run them all
# make check       lint, types and tests
# make bench       measure what calls cost; QUICK=1 for a first look
# make docs        write the pages that are made from the code
# make faults      try every fault of upstreams on a running aiproxy, as a table
# make test-floors all tests on the oldest dependencies that setup.py allows
# make soak        ten minutes of mixed traffic with faults, leaving clients and reloads
# make fuzz        look for bytes that a decoder does not expect, five minutes for each of them
# make clean       remove all of that again
#
# PYTHON=python3.12 chooses the interpreter; each one but python3 has a venv of its own in build/.

PYTHON = python3

# A pyenv shim exists even where the interpreter behind it is switched off: ask each to run.
FLOORS_PYTHON := $(firstword $(shell for p in python3.10 ~/.pyenv/versions/3.10.*/bin/python3.10 \
	python3; do $$p -c '' 2>/dev/null && echo $$p; done))

VENV = $(if $(filter python3,$(PYTHON)),.venv,build/venv-$(notdir $(PYTHON)))
FLOORS_VENV = build/floors-$(notdir $(FLOORS_PYTHON))

SOURCES = setup.py pyproject.toml $(shell find aiproxy twisted -name '*.py')
CHECKED = aiproxy benchmarks tests twisted setup.py
# What earlier builds left in build/lib would be installed again, deleted modules included.
FORGET_BUILDS = rm -rf build/lib build/bdist.*

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: run test lint types check bench docs faults test-floors soak fuzz clean

# As many tests at a time as there are processors.
JOBS := -j $(shell getconf _NPROCESSORS_ONLN)
SOAK_MINUTES = 10
FUZZ_SECONDS = 300

run: $(VENV)/.run
	$(VENV)/bin/twistd -n --pidfile= aiproxy --demo

test: $(VENV)/.test
	$(VENV)/bin/python -m tests.summary $(JOBS) tests

lint: $(VENV)/.test
	$(VENV)/bin/ruff check $(CHECKED)
	$(VENV)/bin/ruff format --check $(CHECKED)

types: $(VENV)/.test
	$(VENV)/bin/mypy

check: lint types test

# A full run is the one that is kept in benchmarks/; a quick one leaves that alone.
bench: $(VENV)/.test
	$(VENV)/bin/python -m benchmarks $(if $(QUICK),--quick build/quick,benchmarks)

docs: $(VENV)/.test
	mkdir -p build
	$(VENV)/bin/python -m tests.wire.loss_table > build/translation.md
	mv build/translation.md docs/translation.md
	$(VENV)/bin/python -m tests.faults.page > build/faults.md
	mv build/faults.md docs/faults.md

faults: $(VENV)/.test
	$(VENV)/bin/python -m tests.faults

test-floors: $(FLOORS_VENV)/.test
	$(FLOORS_VENV)/bin/python -m tests.summary $(JOBS) tests

soak: $(VENV)/.test
	$(VENV)/bin/python -m tests.soak --minutes $(SOAK_MINUTES)

fuzz: $(VENV)/.fuzz
	$(VENV)/bin/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

clean:
	rm -rf .venv build dist *.egg-info _trial_temp* .mypy_cache .ruff_cache .hypothesis

# Each stamp stands for one finished installation and is older than any source changed since.

%/bin/python:
	$(if $(findstring floors,$*),$(FLOORS_PYTHON),$(PYTHON)) -m venv $* || { rm -rf $*; exit 1; }

%/.run: $(SOURCES) | %/bin/python
	$(FORGET_BUILDS)
	$*/bin/python -m pip install --quiet .
	touch $@

build/floors-%/.test: $(SOURCES) build/floors.txt | build/floors-%/bin/python
	$(FORGET_BUILDS)
	build/floors-$*/bin/python -m pip install --quiet --constraint build/floors.txt '.[test]'
	touch $@

%/.test: $(SOURCES) | %/bin/python
	$(FORGET_BUILDS)
	$*/bin/python -m pip install --quiet '.[test]'
	touch $@ $*/.run

%/.fuzz: $(SOURCES) | %/bin/python
	$(FORGET_BUILDS)
	$*/bin/python -m pip install --quiet '.[fuzz]'
	touch $@ $*/.test $*/.run

build/floors.txt: setup.py
	mkdir -p build
	sed -n 's/^    "\([a-z-]*\)[^"]*": "\([0-9.]*\)",$$/\1==\2/p' setup.py > $@

.SECONDARY:
