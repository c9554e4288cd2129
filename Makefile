# The same verbs for people and for CI. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
ENV := .venv/.installed
BIN := .venv/bin
WORKERS ?= 0
WHICH = $$(command -v $(PYTHON) >/dev/null 2>&1 && echo "$(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo none)" \
	|| echo "there is no $(PYTHON)")
VERSION := import sys; print(*sys.version_info[:3], sep=".")
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
NODE := tests/node/node_modules/.package-lock.json
CONSOLE := $(BIN)/python api/console/build.py

.PHONY: interpreter help demo console up test check bench bench-steps bench-eventsourcing docs chaos test-containers test-deployment test-node test-pages console-sheet console-picture clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Stamped, so that an environment that is up to date costs nothing. uv only makes it fast; every package,
# uv included, is installed by hash, and compiled: where Python may not write bytecode, each process would compile
# two seconds long. What make says goes to stderr: stdout belongs to the programs.
# The interpreter is looked at before there is anything. What an interrupted make left, or an interpreter that is
# gone, is made anew. A cache that cannot be written, as in a read-only home, is left out.
$(ENV): requirements-bootstrap.lock requirements.lock pyproject.toml packages/eventsourcing-nats/pyproject.toml packages/towpath-client/pyproject.toml | $(if $(filter file default,$(origin PYTHON)),,interpreter)
	@{ set -e; \
	if test -e .venv/.unfinished || ! $(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null; then \
		$(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || { \
			echo "Towpath needs Python 3.11 or newer; $(WHICH)."; \
			echo "Name another: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }; \
		echo "making the environment in .venv"; \
		rm -rf .venv; mkdir .venv; touch .venv/.unfinished; \
		$(PYTHON) -m venv .venv || { rm -rf .venv; \
			echo "$(PYTHON) cannot make an environment: install its venv module (Debian: python3-venv)"; exit 1; }; \
	fi; \
	touch .venv/.unfinished; \
	cache=$${UV_CACHE_DIR:-$${XDG_CACHE_HOME:-$${HOME:-/dev/null}/.cache}/uv}; \
	mkdir -p "$$cache" 2>/dev/null && test -w "$$cache" || export UV_NO_CACHE=1 PIP_NO_CACHE_DIR=1; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.lock; \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode \
		-r requirements.lock; \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . \
		-e packages/eventsourcing-nats -e packages/towpath-client; \
	touch $(ENV); rm -f .venv/.unfinished; \
	} >&2

# Another interpreter than the environment's was asked for: neither is taken in silence.
interpreter:
	@if test -e $(ENV); then \
		there=$$($(BIN)/python -c '$(VERSION)'); asked=$$($(PYTHON) -c '$(VERSION)' 2>/dev/null) || asked=; \
		test "$$there" = "$$asked" || { \
			echo "the environment in .venv is Python $$there, and $(WHICH)."; \
			echo "Leave PYTHON out to use it, or run make clean first to make another."; exit 1; }; \
	fi >&2

demo: $(ENV) ## run real tasks that contend for a workspace, and show the trail
	@$(BIN)/towpath demo

# Built again only after a change. Exit code 3: this machine has no Node, so that of PyPI is installed, by hash.
console: $(ENV) ## build the operators' console, which `make up` does, too; brings Node where there is none
	@$(CONSOLE) $(TOOLS) || { test $$? = 3 && $(BIN)/uv pip install --quiet --python $(BIN)/python \
		--require-hashes -r requirements-node.lock >&2 && $(CONSOLE) $(TOOLS); }

up: $(ENV) ## start NATS, API, projections and one runner; stop with Ctrl-C; ARGS="--port 8010"
	@$(MAKE) --no-print-directory console || echo "going on without the console" >&2
	@$(BIN)/towpath up $(ARGS) || { code=$$?; echo 'options go into ARGS: make up ARGS="--port 8010"' >&2; exit $$code; }

test: $(ENV) ## all tests that need nothing but Python; WORKERS=2 runs two at a time
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: $(ENV) ## lint, format, types, and who may import whom
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/mypy --config-file packages/towpath-client/pyproject.toml
	@$(BIN)/lint-imports

bench: $(ENV) ## measure; ARGS="…" goes to the program, whose output alone is on stdout
	@$(BIN)/python -m tests.bench $(ARGS)

bench-steps: $(ENV) ## count what a task costs each part; ARGS="--at-once"
	@$(BIN)/python -m tests.bench.steps $(ARGS)

bench-eventsourcing: $(ENV) ## measure the store for the eventsourcing library beside its own stores
	@cd packages/eventsourcing-nats && ../../$(BIN)/python -m bench

docs: $(ENV) ## write what is generated: diagrams, schemas, references
	@$(BIN)/python -m infra.documents.write

chaos: $(ENV) ## break everything on purpose for 10 minutes and check the promises; needs root; ARGS="--minutes 3"
	@$(BIN)/python -m tests.chaos $(ARGS)

test-containers: $(ENV) ## tests against NATS in containers; needs a Docker engine
	@$(BIN)/python -m pytest -m containers tests/containers $(ARGS)

test-deployment: $(ENV) ## check the deployment files; needs docker compose, systemd and promtool
	@$(BIN)/python -m pytest -m deployment tests/deployment $(ARGS)

# By hash, too: `npm ci` installs what package-lock.json pins or nothing, and runs no script of a package.
$(NODE): tests/node/package.json tests/node/package-lock.json
	@cd tests/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 && touch ../../$(NODE)

test-node: $(ENV) $(NODE) ## compile TypeScript, test the console's modules, run a runner on Node; needs Node 20 and npm
	@$(MAKE) --no-print-directory console TOOLS=--tools
	@$(BIN)/python -m pytest -m node tests/node $(ARGS)

test-pages: $(ENV) console ## look at the pages in a browser; needs Debian's chromium-headless-shell or chromium; WORKERS=2
	@$(BIN)/python -m pytest -m pages tests/pages -n $(WORKERS) --dist loadfile $(ARGS)

console-sheet: $(ENV) console ## take pictures of all pages of the console in all states, into dist/console-sheet; ARGS="--only locks"
	@$(BIN)/python -m tests.pages.console.sheet $(ARGS)

console-picture: $(ENV) console ## take the two pictures of the console in the README; ARGS="--seconds 60"
	@$(BIN)/python -m tests.pages.picture $(ARGS)

clean: ## remove the environment and all that was built, but no data
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist tests/node/node_modules \
		api/console/dist api/console/node_modules api/console/src/generated
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
