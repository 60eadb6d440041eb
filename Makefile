# Set-up and checks. `make demo` and `make test` each work as the first command in a fresh clone: what a target needs
# is installed into .venv on the way. `make help` lists the targets.
#
# Variables, given as `make demo NAME=value`:
#   PYTHON       the interpreter that creates .venv, 3.11 or newer (default: python3.11 if it runs, else python3)
#   TORCH_INDEX  a package index to take PyTorch from (default: empty, the index pip is configured for). On Linux the
#                default index may hold the CUDA build, several GB; name an index of CPU builds here to avoid that.
#   PIECES       what `reproduce` makes again (default: all; `semivae reproduce --help` names them)
#   ARGS         further options for the command behind `reproduce` and `bench`, as in `make reproduce ARGS=--quick`

PYTHON ?= $(shell for p in python3.11 python3; do "$$p" -c "" 2>/dev/null && echo "$$p" && exit; done; echo python3)
TORCH_INDEX ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# Its date says when .venv was last brought in line with the two files that define it.
INSTALLED := $(VENV)/.installed
# Errors only: among the lines of an installation nobody would see them.
PIP_QUIET := -qq --disable-pip-version-check

# The two steps of every installation, in the environment whose bin folder is $(1): PyTorch alone, because only it may
# come from another index (--no-deps, because that index need not hold our pins of what PyTorch depends on), then $(2)
# and everything pinned. The second step keeps the PyTorch it finds.
define install
"$(1)/python" -m pip install $(PIP_QUIET) --no-deps -c constraints.txt \
	$(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)") torch && \
"$(1)/python" -m pip install $(PIP_QUIET) -c constraints.txt $(2)
endef

.DEFAULT_GOAL := help
.PHONY: help demo test test-full reproduce bench soak wheel-test lint types format clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@echo "Each installs what it needs into .venv. Variables: PYTHON, TORCH_INDEX, PIECES, ARGS (explained at the top of Makefile)."

demo: $(INSTALLED)  ## train on the embedded digits with 5 labels per class; the report lands in runs/demo
	@rm -rf runs/demo
	$(BIN)/semivae fit digits --labels 50 --seed 0 --out runs/demo

test: lint types  ## lint, types, quick tests and doctests: what CI runs
	$(BIN)/python -m pytest -m "not slow"

test-full: lint types  ## every test, slow ones too, and the wheel
	$(BIN)/python -m pytest
	@$(MAKE) --no-print-directory wheel-test

reproduce: $(INSTALLED)  ## the paper beside ours: what has no result file is trained (hours; PIECES=results-table: that alone; ARGS=--quick)
	$(BIN)/semivae reproduce $(or $(PIECES),all) --out benchmarks/results $(ARGS)

bench: $(INSTALLED)  ## rows per second, ours beside a textbook loop, into benchmarks/results/speed.json
	$(BIN)/python -m benchmarks.speed $(ARGS)

soak: $(INSTALLED)  ## the long end-to-end checks: a quick reproduction of all, then the slow tests (killed and resumed runs)
	@set -e; tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; trap 'exit 1' HUP INT TERM; \
	$(BIN)/semivae reproduce all --quick --out "$$tmp"
	$(BIN)/python -m pytest -m slow

# Outside the tree, so that nothing but the wheel can answer an import; exit on the first failure, clean up after any.
wheel-test: $(INSTALLED)  ## build a wheel, install it into an empty environment and train with it
	@echo "Building a wheel and installing it into an empty environment: this takes minutes ..."
	@set -e; tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; trap 'exit 1' HUP INT TERM; \
	$(BIN)/python -m build --wheel --outdir "$$tmp/dist" . > "$$tmp/build.log" 2>&1 || { cat "$$tmp/build.log" >&2; exit 1; }; \
	$(BIN)/python -m venv "$$tmp/venv"; \
	{ $(call install,$$tmp/venv/bin,"$$tmp"/dist/*.whl); } || exit 1; \
	cd "$$tmp"; unset PYTHONPATH; \
	venv/bin/semivae --help > /dev/null; \
	venv/bin/semivae fit digits --labels 50 --epochs 1 --no-baseline; \
	echo "The wheel installs and trains."

lint: $(INSTALLED)  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)  ## mypy --strict
	$(BIN)/mypy -p semivae -p benchmarks

format: $(INSTALLED)  ## rewrite the files as `make lint` wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove caches and build products; .venv and runs stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "semivae needs Python 3.11 or newer, \
	and '$(PYTHON)' is not: name another interpreter, as in 'make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)'" >&2; exit 1; }
	@echo "Installing PyTorch and the other pinned packages into $(VENV): this takes minutes, once ..."
	@"$(PYTHON)" -m venv $(VENV)
	@$(call install,$(BIN),-e ".[dev]")
	@touch $@
