# The commands of this repository; `make help` lists them. Needed: Python 3.11 or newer with venv, git, make, PyPI.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SEED ?= 0

# The folders `dns` and `cli` must never be found in place of the libraries of these names.
export PYTHONSAFEPATH := 1
unexport PYTHONPATH

.PHONY: help demo test lint bench soak lock clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

demo: $(STAMP)  ## One agent, two services with health checks, DNS and an intention; Ctrl-C ends it
	@$(BIN)/lictor demo $(ARGS)

test: $(STAMP)  ## Everything that must pass: format, lint, types, imports, tests
	@tests/acceptance/get_peers.sh || true
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto --dist loadfile --timeout 120 --durations 5 -rs
	@tests/acceptance/get_peers.sh --summary

lint: $(STAMP)  ## Only format, lint, types and imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)  ## Our agent and a real Consul side by side (ARGS=--quick for a look)
	@tests/acceptance/get_peers.sh || true
	PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)
	PYTHONPATH=tests $(BIN)/python -m bench.gossip --duration 120

soak: $(STAMP)  ## Longer random runs: more Hypothesis examples, more crash rounds (SEED=n)
	LICTOR_SOAK=1 $(BIN)/pytest -n auto --dist loadfile --timeout 1800 -p no:cacheprovider \
		--hypothesis-seed=$(SEED) tests/raft tests/registry tests/dns tests/acceptance/test_kill.py
	PYTHONPATH=tests $(BIN)/python -m bench.gossip --seed $(SEED)

lock: $(STAMP)  ## Write requirements.lock from a clean environment with the newest versions that fit
	rm -rf $(VENV)-lock
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet -e '.[dev]'
	$(VENV)-lock/bin/pip freeze --exclude-editable --exclude lictor | grep -v '^#' > requirements.lock
	rm -rf $(VENV)-lock

clean:  ## Remove the environment, caches and built files
	rm -rf $(VENV) $(VENV)-lock build dist .bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache \
		.hypothesis src/lictor.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is newer than what it was made from, so that the second run starts at once.
$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed (PYTHON=python3.12 make ...)")'
	@echo "Setting up $(VENV), once"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	@touch $@
