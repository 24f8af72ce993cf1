# Every command there is. `make` alone lists them.
#
# The first line of each target's work is the bootstrap: it makes .venv on the first call and costs a tenth of a second
# on later ones, so no target needs another before it.

PYTHON ?= python3
BIN := .venv/bin
# Two cores are enough to be useful; more are used where they are.
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help demo up services services-stop test chaos fuzz check bench fmt docs pins cov clean run-env dev-env \
	check-style check-format check-types check-imports check-dependencies check-pins check-docs

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: run-env ## run the demonstration model on the demonstration portfolio and print its losses
	@$(BIN)/qanat demo

up: run-env ## start the platform with the demonstration model, until Ctrl-C
	@$(BIN)/qanat up

services: ## start PostgreSQL, RabbitMQ and Redis from this machine's packages, and say how to use them
	@$(PYTHON) scripts/services.py start

services-stop: ## stop them; their data stay
	@$(PYTHON) scripts/services.py stop

test: dev-env ## run all tests
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup $(ARGS)

chaos: dev-env ## run 300 analyses while processes, servers, connections and disks fail; ARGS="--analyses 60 --seed 2"
	@$(BIN)/python -m tests.chaos $(ARGS)

fuzz: dev-env ## make up 20,000 requests from our OpenAPI documents; nightly
	@QANAT_FUZZ_CASES=$${QANAT_FUZZ_CASES:-20000} $(BIN)/python -m pytest --numprocesses $(WORKERS) tests/api/fuzz $(ARGS)

# All of them, whatever the first ones say.
check: dev-env ## run all checks: style, types, import contracts, dependencies, pins, diagrams
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target check-style check-format check-types check-imports \
		check-dependencies check-pins check-docs

check-style: ; @$(BIN)/ruff check
check-format: ; @$(BIN)/ruff format --check
check-types: ; @$(BIN)/mypy
check-imports: ; @$(BIN)/lint-imports
check-dependencies: ; @$(BIN)/deptry src
check-pins: ; @$(BIN)/python scripts/pins.py check
check-docs: ; @$(BIN)/python scripts/diagrams.py --check

bench: dev-env ## run the benchmarks
	@for benchmark in $(filter-out benchmarks/plot_% benchmarks/fill_%,$(wildcard benchmarks/*.py)); do $(BIN)/python $$benchmark || exit 1; done

fmt: dev-env ## format the code and mend what can be mended by itself
	@$(BIN)/ruff check --fix --exit-zero --quiet && $(BIN)/ruff format

docs: dev-env ## draw the diagrams in the docs anew from the tables in the code
	@$(BIN)/python scripts/diagrams.py

pins: dev-env ## write requirements/*.txt anew from pyproject.toml
	@$(BIN)/python scripts/pins.py make

cov: dev-env ## run all tests and print what they do not reach
	@$(BIN)/python -m coverage erase && $(BIN)/python -m pytest --cov --cov-report= $(ARGS)
	@$(BIN)/python -m coverage report

clean: ## remove the environment and what tools have left
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

run-env: ; @$(PYTHON) scripts/bootstrap.py run
dev-env: ; @$(PYTHON) scripts/bootstrap.py dev
