# Everything a person or CI does with this repository. `make` alone prints the list.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Where this is set, every process that a test starts would compile the whole program again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEVELOP := $(VENV)/.develop-installed
ARGS ?=

.PHONY: help setup setup-dev tools tools-bench run test test-airgap test-slow test-binary check format docs handbook bench binary \
	binary-portable package lock clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(RUNTIME) ## make .venv with the pinned, hashed dependencies (done once)

setup-dev: $(DEVELOP) ## the same, with what tests, checks and the build need

tools-bench:
	@tests/tools.sh bench

tools: ## install what the tests need from the distribution, where it is absent
	@tests/tools.sh

run: $(RUNTIME) ## start Dash on the embedded default, http://127.0.0.1:8080
	@$(BIN)/python -m appliance serve $(ARGS)

test: $(DEVELOP) tools ## run the tests (ARGS="-k name" chooses)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not binary" $(ARGS)

test-airgap: $(DEVELOP) tools ## run the tests where there is no network but the loopback, as root
	unshare --net bash -c 'ip link set lo up && exec $(MAKE) test'

test-slow: $(DEVELOP) tools ## run the long ones: 300 crash rounds, soak
	$(BIN)/python -m pytest -m "slow" $(ARGS)

test-binary: $(DEVELOP) tools ## drive the built binary without network, as nobody
	$(BIN)/python -m pytest -m binary tests/binary $(ARGS)

check: $(DEVELOP) ## lint, types, layers, and whether the reference pages are up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python docs/generate.py --check

format: $(DEVELOP) ## format the code and sort its imports
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: $(DEVELOP) ## write docs/reference/ from the declarations, draw diagrams that are not drawn yet
	$(BIN)/python docs/generate.py
	$(BIN)/python -m handbook diagrams

handbook: $(DEVELOP) tools ## make the handbook: the site in dist/handbook/, and dist/dash-handbook.pdf
	$(BIN)/python -m handbook site dist/handbook
	$(BIN)/python -m handbook pdf dist/dash-handbook.pdf

bench: $(DEVELOP) tools-bench ## measure, each figure beside a yardstick of the same run
	$(BIN)/python -m benchmarks $(ARGS)

binary: $(DEVELOP) tools ## build dist/dash-appliance/, the .tar.xz and the self-extracting .run
	$(BIN)/python packaging/build.py $(ARGS)

binary-portable: $(DEVELOP) ## the same for every Linux since 2020: built in Debian 11, as root
	packaging/portable.sh $(ARGS)

package: $(DEVELOP) ## of what 'make binary' built: the .deb, SBOM, SHA256SUMS, signatures
	$(BIN)/python packaging/package.py $(ARGS)

lock: $(DEVELOP) ## resolve pyproject.toml anew into packaging/requirements*.txt
	packaging/lock.sh $(ARGS)

clean: ## remove what was built and cached (not .venv)
	rm -rf build dist artefacts .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@packaging/environment.sh create $(PYTHON) $(VENV)

$(RUNTIME): packaging/requirements.txt | $(BIN)/python
	@packaging/environment.sh install $(VENV) packaging/requirements.txt
	@touch $@

$(DEVELOP): packaging/requirements.txt packaging/requirements-dev.txt | $(BIN)/python
	@packaging/environment.sh install $(VENV) packaging/requirements-dev.txt
	@touch $(RUNTIME) $@
