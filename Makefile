# Every target sets up what it needs: Python 3.11 (or newer) with pip is all it takes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast check format bench docs audit localstack clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.user: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.user

$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@touch $@

demo: $(VENV)/.user ## Run real orders through SQS and SNS on a local AWS and print a summary
	@$(BIN)/sourceflow demo $(DEMO_ARGS)

test: $(VENV)/.dev ## Run every test, LocalStack included
	$(BIN)/python -m pytest $(TEST_ARGS)

test-fast: $(VENV)/.dev ## Run the unit tests that need no other server, in less than two minutes of one CPU
	$(BIN)/python -m pytest tests/unit -m 'not localstack and not postgresql and not slow' $(TEST_ARGS)

check: $(VENV)/.dev ## Lint, format, types, import contracts, unsafe code, public names
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing/accepted.py
	$(BIN)/pyright --warnings src/sourceflow tests/typing/accepted.py
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive src
	$(BIN)/python -m pytest -q tests/unit/test_public_names.py

format: $(VENV)/.dev ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench ## Measure CPU a message against a hand-written loop, and stores beside pyeventsourcing
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.bus
	$(BIN)/python -m benchmarks.stores
	$(BIN)/python -m benchmarks.encryption
	$(BIN)/python -m benchmarks.growth

docs: $(VENV)/.dev ## Run the documents' code, follow their links, build the site into site/
	$(BIN)/python -m pytest -q tests/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

audit: $(VENV)/.dev ## Look for known vulnerabilities in what is installed
	@mkdir -p build
	$(BIN)/python -m pip freeze --all --exclude-editable --disable-pip-version-check > build/installed.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip --requirement build/installed.txt $(AUDIT_ARGS)

localstack: ## Start LocalStack (SQS, SNS, KMS) on a loopback port, without Docker
	tools/localstack/start.sh

clean: ## Remove everything that was made here
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist site
