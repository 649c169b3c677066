# Everything a developer types. `make test` and `make demo` need Python >= 3.11, stable Rust, a C compiler, make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

RUST := $(shell find rust/core rust/py -name '*.rs' -o -name '*.tsv' -o -name Cargo.toml) Cargo.toml Cargo.lock

.PHONY: help demo test test-full faults attack check lint fix stubtest bench clean
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(VENV)/.tools:
	@command -v cargo >/dev/null || { echo "Rust is missing: install a stable toolchain, https://rustup.rs" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip 'maturin>=1.9,<2'
	@touch $@

$(VENV)/.built: $(VENV)/.tools pyproject.toml $(RUST)
	PIP_QUIET=1 maturin develop --release --quiet --extras dev
	@touch $@

demo: $(VENV)/.built ## a whole charging network on this machine, with its live messages; Ctrl-C ends it
	@exec voltgate dev --chargers 5 --tail

test: $(VENV)/.built ## what everybody runs: cargo test and pytest
	cargo test --workspace --exclude voltgate-py --quiet
	$(BIN)/python -m pytest -q

test-full: $(VENV)/.built ## property and differential tests at their full size
	VOLTGATE_FULL=1 cargo test --workspace --exclude voltgate-py --release
	VOLTGATE_FULL=1 $(BIN)/python -m pytest -q -s tests/test_differential.py tests/test_token.py tests/test_slice.py

faults: $(VENV)/.built ## fifty faults in each set-up, and what became of every message; FAULTS="--seed 7" repeats one
	PYTHONPATH=tests $(BIN)/python -m faults $(FAULTS)

attack: $(VENV)/.built ## attacks beside 200 chargers that must not notice, and the table; ATTACK="--only pings" runs some
	PYTHONPATH=tests $(BIN)/python -m attack $(ATTACK)

lint: $(VENV)/.built ## formatters, linters, types, the stub against the extension
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	ruff format --check .
	ruff check .
	mypy
	$(BIN)/python -m mypy.stubtest voltgate._core

check: lint ## everything; CI runs this
	$(MAKE) test

fix: $(VENV)/.built ## format, and mend what linters can mend
	cargo fmt --all
	ruff check --fix .
	ruff format .

bench: $(VENV)/.built ## every figure of benchmarks/README.md, measured and written; BENCH="--quick --no-write" tries it
	$(BIN)/python benchmarks/run.py $(BENCH)

clean: ## remove everything that make made
	rm -rf $(VENV) target voltgate-data
