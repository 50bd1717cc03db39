# Every target sets up what it needs: a fresh machine with Python (3.11 or newer), git and make is enough.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTRAS := engine,frontend,postgres,redis,dev

# uv reads its own variable for extra wheel folders; a machine that tells pip should not have to say it twice.
comma := ,
space := $(subst ,, )
export UV_FIND_LINKS ?= $(subst $(space),$(comma),$(strip $(PIP_FIND_LINKS)))

# Tests, demo and bench start hundreds of interpreters; without byte code each of them compiles every library anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo test test-fast check format bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## a virtual environment in .venv with the engine and the development tools

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv --constraint constraints.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

demo: $(READY)  ## the whole story on a tiny model, then a running platform; ONCE=1 ends instead, 0 when all held
	$(BIN)/stillframe demo $(if $(ONCE),--once)

test: $(READY)  ## every test: real processes, real git, real uv, real engine
	$(BIN)/python -m pytest --durations=15

test-fast: $(READY)  ## what needs no torch and no long-lived process
	$(BIN)/python -m pytest -m 'not slow' -n 2 --dist worksteal

check: $(READY)  ## format, lint, types, import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## rewrite the sources as ruff formats them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## print every figure that README claims
	@for bench in tests/benchmarks/bench_*.py; do echo "== $$bench"; $(BIN)/python $$bench || exit 1; done

clean:  ## forget the virtual environment and caches; homes are never touched
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
