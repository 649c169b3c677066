# Everything a developer types. `make test` and `make demo` need Python >= 3.11, stable Rust, a C compiler, make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
# Tests start hundreds of processes, each of which would compile all sources where somebody has turned this on.
export PYTHONDONTWRITEBYTECODE :=

RUST := $(shell find rust/core rust/py -name '*.rs' -o -name '*.tsv' -o -name Cargo.toml) Cargo.toml Cargo.lock

# Two crates that are not in the workspace; their artefacts go to target/ too, where `make clean` finds them.
APART := rust/fuzz benchmarks/load

# Most tests wait for processes: five workers, also on two cores. A file of tests is in one worker: its servers are shared.
PYTEST := $(BIN)/python -m pytest -q -n 5

.PHONY: help demo test test-unit test-long test-full test-upgrade faults faults-repeat flaky attack strangers examples deploy-test conformance fuzz check lint fix bench peers bench-csms locust swarm-day soak observe-test pages lighthouse bench-pages \
	pictures dashboards slos asyncapi asyncapi-test release deny lock test-lowest clean
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

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
	$(PYTEST) -m "not long"
	@echo "Not part of this: make test-long, make test-full, make test-upgrade, make faults (see CONTRIBUTING.md)"

test-unit: $(VENV)/.built ## the tests that start no other process
	$(PYTEST) -m "not long and not processes"

test-long: $(VENV)/.built ## the tests of tests/long.txt, of several seconds each
	$(PYTEST) -m long

test-full: $(VENV)/.built ## property tests, the model of ownership and takeovers at their full size
	TEST_FULL=1 cargo test --workspace --exclude voltgate-py --release
	TEST_FULL=1 $(BIN)/python -m pytest -q -s --timeout 0 tests/core tests/csms/world tests/csms/console/test_exports.py tests/model tests/gateway/session/test_lane.py tests/e2e/test_ownership_storm.py \
		tests/docs/test_scaling.py tests/benchmarks/test_soak.py

test-upgrade: $(VENV)/.built ## the last release and this tree side by side; builds the last release once
	TEST_UPGRADE=1 $(BIN)/python -m pytest -q --timeout 0 tests/e2e/test_last_release.py

faults: $(VENV)/.built ## fifty faults in each set-up, and what became of every message; FAULTS="--seed 7" repeats one
	PYTHONPATH=tests $(BIN)/python -m faults $(FAULTS)

faults-repeat: $(VENV)/.built ## the short form of faults N=100 times; stops at the first that fails
	PYTHONPATH=tests $(BIN)/python -m faults --setup gateways --repeat $(or $(N),100) $(FAULTS)

flaky: $(VENV)/.built ## the tests N=5 times beside a load on all cores
	PYTHONPATH=tests $(BIN)/python -m flaky $(or $(N),5)

attack: $(VENV)/.built ## attacks beside 200 chargers that must not notice, and a table; ATTACK="--only pings" runs some
	PYTHONPATH=tests $(BIN)/python -m attack $(ATTACK)

strangers: $(VENV)/.built ## chargers made of other people's clients, by each security profile, and what passed; tests/strangers/README.md
	PYTHONPATH=tests $(BIN)/python -m strangers $(STRANGERS)

examples: $(VENV)/.built ## the backends of examples/ in each language, with a kill and a restart of NATS; EXAMPLES="--language go" is one
	PYTHONPATH=tests $(BIN)/python -m examples $(EXAMPLES)

conformance: $(VENV)/.built ## every rule of docs/ocpp.md A and E against a real gateway; writes docs/conformance.md
	$(BIN)/python -m pytest -q tests/conformance --write-results

fuzz: $(VENV)/.fuzz ## every fuzz target for a minute, from the inputs in tests/vectors/fuzz; FUZZ="--seconds 1800 --only lane"
	@cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
	PYTHONPATH=tests $(BIN)/python -m fuzz $(FUZZ)

$(VENV)/.fuzz: $(VENV)/.built
	$(BIN)/python -m pip install --quiet 'atheris>=3,<4'
	@touch $@

observe-test: $(VENV)/.built ## the shipped alerts and dashboards against a real Prometheus, a gateway and its faults
	OBSERVE=1 $(BIN)/python -m pytest -q tests/observe

pages: $(VENV)/.built ## every page of the console in chromium, by axe, keyboard and without a network; pictures in .cache/pages
	PAGES=1 $(BIN)/python -m pytest -q -n 2 tests/csms/pages

lighthouse: $(VENV)/.built ## Lighthouse on the console's login page and on Now, as on a phone: reports in .cache/pages; needs node and npm
	npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --prefix .cache/lighthouse lighthouse@12.2.3
	LIGHTHOUSE=1 $(BIN)/python -m pytest -q -s tests/csms/pages/test_lighthouse.py

pictures: $(VENV)/.built ## docs/images: the dashboards as that Prometheus has them
	PYTHONPATH=tests $(BIN)/python -m observe.pictures

dashboards: ## write deploy/grafana/dashboards; needs Go
	cd deploy/grafana/build && go run . ../dashboards

asyncapi: $(VENV)/.built ## write docs/asyncapi.yaml
	voltgate asyncapi > docs/asyncapi.yaml

asyncapi-test: $(VENV)/.built ## docs/asyncapi.yaml, and the one beside all schemas, by the parser of AsyncAPI; needs node and npm
	npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --prefix .cache/asyncapi @asyncapi/parser@3.6.6
	voltgate schema --all .cache/asyncapi/bundle
	cp tests/asyncapi/parse.mjs .cache/asyncapi
	node .cache/asyncapi/parse.mjs docs/asyncapi.yaml .cache/asyncapi/bundle/asyncapi.yaml

slos: ## write deploy/prometheus/slos.yaml; needs sloth
	sloth generate -i deploy/prometheus/slos.sloth.yaml -o deploy/prometheus/slos.yaml

deploy-test: $(VENV)/.built ## every file in deploy/ with its tool, started on loopback; an upgrade under 4,000 chargers
	TEST_FULL=1 $(BIN)/python -m pytest -q -s tests/deploy

lint: $(VENV)/.built ## formatters, linters, types, the stub against the extension
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	@for crate in $(APART); do set -e -x; \
		cargo fmt --manifest-path $$crate/Cargo.toml --check; \
		cargo clippy --manifest-path $$crate/Cargo.toml --target-dir target/$${crate##*/} \
			--locked --all-targets --quiet -- -D warnings; \
	done
	@if command -v cargo-deny >/dev/null; then set -x; cargo deny --offline check bans licenses sources; \
	else echo "deny.toml was not checked: cargo install --locked cargo-deny"; fi
	ruff format --check .
	ruff check .
	mypy
	$(BIN)/python -m mypy.stubtest voltgate._core

check: lint ## everything; CI runs this
	$(MAKE) test

fix: $(VENV)/.built ## format, and mend what linters can mend
	cargo fmt --all
	@for crate in $(APART); do cargo fmt --manifest-path $$crate/Cargo.toml; done
	ruff check --fix .
	ruff format .

bench: $(VENV)/.built ## every figure of benchmarks/README.md, measured and written; BENCH="--quick --no-write" tries it
	$(BIN)/python benchmarks/run.py $(BENCH)
	$(if $(findstring --only,$(BENCH)),,$(BIN)/python benchmarks/tls.py $(filter --quick --no-write,$(BENCH)))

peers: $(VENV)/.built ## the same load on other systems, fetched from their registries; PEERS="--quick --no-write" tries it
	$(BIN)/python benchmarks/comparison.py $(PEERS)

bench-csms: $(VENV)/.built ## facts a second of the ledger, its lag and memory, the API on a million sessions; CSMS="--chargers 500 --minutes 60"
	$(BIN)/python benchmarks/ledger.py $(CSMS)
	$(BIN)/python benchmarks/api.py

bench-pages: $(VENV)/.built ## the console's pages with 10,000 chargers: first paint, frames while scrolling, from a charger to the screen; BENCH="--chargers 500 --rate 100"
	$(BIN)/python benchmarks/pages.py $(BENCH)

locust: $(VENV)/.locust ## Locust against a gateway that it starts: .cache/locust.html; LOCUST="--users 1000 --seconds 300"
	$(BIN)/python benchmarks/locusts.py $(LOCUST)

$(VENV)/.locust: $(VENV)/.built
	$(BIN)/python -m pip install --quiet 'locust>=2.40'
	@touch $@

swarm-day: $(VENV)/.built ## the day of a network of 10,000 chargers in an hour: .cache/day.html; DAY="--speed 96" is faster
	$(BIN)/python benchmarks/day.py $(DAY)

soak: $(VENV)/.built ## an hour of 10,000 chargers with faults: memory and descriptors must be flat; .cache/soak.html; SOAK="--minutes 10"
	$(BIN)/python benchmarks/soak.py $(SOAK)

TOOLS := .cache/tools/bin

$(TOOLS)/.tools: deploy/release/requirements-release.txt
	$(PYTHON) -m venv .cache/tools
	$(TOOLS)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

release: $(TOOLS)/.tools ## everything of a release, from the last commit, in dist/: wheels, sdist, chart, SBOMs, sums, changes
	$(TOOLS)/python deploy/release/release.py

deny: ## licences, sources, duplicates and known faults of the crates; needs cargo-deny, and its advisories from GitHub
	cargo deny check

lock: $(TOOLS)/.tools ## write the lock files in deploy/release/; UPGRADE=1 takes the newest of everything
	UV=$(TOOLS)/uv deploy/release/lock.sh

test-lowest: $(TOOLS)/.tools ## unit tests with the lowest and newest dependencies on Python 3.11, 3.12, 3.13; LOWEST=3.12:lowest is one
	$(TOOLS)/python deploy/release/lowest.py

clean: ## remove everything that make made
	rm -rf $(VENV) .cache dist target voltgate-data
