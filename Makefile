# What a newcomer and the integration machine run. `make help` lists it.
VENV ?= .venv
PYTHON ?= python3
# further words for the demo, pytest, the benchmarks and the fuzzer, e.g. DEMO_ARGS="--port-base 21000"
DEMO_ARGS ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
FUZZ_ARGS ?=

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

BIN := $(VENV)/bin
RUN := PYTHONPATH=src:. $(BIN)/python
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# One set of tests per line of `make check`: pure code on virtual time, seconds in all.
UNIT := tests/unit tests/meta
NOT_QUICK := slow or soak or fuzz

.PHONY: help demo test check format bench soak fuzz artefacts requirements sbom lock wheel clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 15

# --- environment -------------------------------------------------------------------------------------------------
# The stamps make the second call instant and need no network; they are renewed when a lock file changes.

$(VENV)/pyvenv.cfg:
	@$(PYTHON) tools/python_version.py
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock requirements-build.lock pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "installing the bridge into $(VENV) (once)"
	@$(PIP) install --require-hashes -r requirements-build.lock -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(RUN) -m bridge.projections.opcua.standard
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "installing the test tools into $(VENV) (once)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# --- running -----------------------------------------------------------------------------------------------------

demo: $(VENV)/.runtime ## simulated meters and every server of the bridge on 127.0.0.1
	@$(BIN)/meterbridge demo $(DEMO_ARGS)

check: $(VENV)/.dev ## format, lint, types, import contracts, unit tests: seconds
	@$(BIN)/ruff format --quiet --check src tests tools
	@$(BIN)/ruff check --quiet src tests tools
	@$(BIN)/mypy --no-error-summary
	@PYTHONPATH=src $(BIN)/lint-imports --no-logo | grep -v KEPT
	@tools/run_tests.sh $(BIN)/python -m "not ($(NOT_QUICK))" $(UNIT) $(PYTEST_ARGS)

format: $(VENV)/.dev ## bring every file into the house format
	@$(BIN)/ruff format --quiet src tests tools
	@$(BIN)/ruff check --quiet --fix src tests tools

test: $(VENV)/.dev ## every test but the soak; installs the foreign clients from Debian where it may
	@VENV=$(VENV) tools/test_packages.sh
	@tools/run_tests.sh $(BIN)/python -m "not soak" $(PYTEST_ARGS)

soak: $(VENV)/.dev ## minutes to hours
	@$(RUN) -m pytest -q --no-header -m soak --timeout=0 $(PYTEST_ARGS)

fuzz: $(VENV)/.dev ## mutated frames against every decoder and listener; METERBRIDGE_FUZZ_FRAMES=1000000 for a night
	@$(RUN) -m pytest -q --no-header -m fuzz --timeout=0 $(PYTEST_ARGS) $(FUZZ_ARGS)

bench: $(VENV)/.dev ## measure, and write docs/benchmarks.md
	@$(RUN) -m tests.bench $(BENCH_ARGS)

# --- files made from others --------------------------------------------------------------------------------------

artefacts: $(VENV)/.runtime ## mappings/schema, mibs/, cid/ and the other generated files
	@$(RUN) tools/artefacts.py

requirements: $(VENV)/.dev ## docs/requirements.md, and the requirements no test names
	@$(RUN) -m tests.meta.requirements

sbom: $(VENV)/.runtime ## dist/sbom.json: CycloneDX, with the native libraries inside the wheels
	@$(RUN) tools/sbom.py requirements.lock dist/sbom.json

lock: ## the lock files anew; LOCK_ARGS=--upgrade moves versions (needs uv)
	@tools/lock.sh

wheel: $(VENV)/.runtime ## dist/*.whl
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

clean: ## what this file made, the environment included
	@rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
