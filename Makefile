# The same verbs for people and for CI. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
ENV := .venv/.installed
BIN := .venv/bin
WORKERS ?= 0
NODE := tests/node/node_modules/.package-lock.json

.PHONY: help demo up test check bench docs chaos test-containers test-deployment test-node test-pages clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Stamped, so that an environment that is up to date costs nothing. uv only makes it fast; every package,
# uv included, is installed by hash, and compiled: where Python may not write bytecode, each process would compile
# two seconds long. What make says goes to stderr: stdout belongs to the programs.
$(ENV): requirements-bootstrap.lock requirements.lock pyproject.toml
	@{ set -e; \
	echo "making the environment in .venv"; \
	test -x $(BIN)/python || $(PYTHON) -m venv .venv; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.lock; \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode \
		-r requirements.lock; \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	touch $(ENV); \
	} >&2

demo: $(ENV) ## run real tasks that contend for a workspace, and show the trail
	@$(BIN)/towpath demo

up: $(ENV) ## start NATS, API, projections and one runner; stop with Ctrl-C
	@$(BIN)/towpath up

test: $(ENV) ## all tests that need nothing but Python; WORKERS=2 runs two at a time
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: $(ENV) ## lint, format, types, and who may import whom
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(ENV) ## measure; ARGS="…" goes to the program, whose output alone is on stdout
	@$(BIN)/python -m infra.bench $(ARGS)

docs: $(ENV) ## write what is generated: diagrams, schemas, references
	@$(BIN)/python -m infra.docs

chaos: $(ENV) ## break everything on purpose for 10 minutes and check the promises; needs root; ARGS="--minutes 3"
	@$(BIN)/python -m tests.chaos $(ARGS)

test-containers: $(ENV) ## tests against NATS in containers; needs a Docker engine
	@$(BIN)/python -m pytest -m containers tests/containers $(ARGS)

test-deployment: $(ENV) ## check the deployment files; needs docker compose, systemd and promtool
	@$(BIN)/python -m pytest -m deployment tests/deployment $(ARGS)

# By hash, too: `npm ci` installs what package-lock.json pins or nothing, and runs no script of a package.
$(NODE): tests/node/package.json tests/node/package-lock.json
	@cd tests/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 && touch ../../$(NODE)

test-node: $(ENV) $(NODE) ## compile the TypeScript types, and run a runner on Node; needs Node 20 and npm
	@$(BIN)/python -m pytest -m node tests/node $(ARGS)

test-pages: $(ENV) ## look at the pages in a browser; needs Debian's chromium
	@$(BIN)/python -m pytest -m pages tests/pages $(ARGS)

clean: ## remove the environment and all that was built, but no data
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist tests/node/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
