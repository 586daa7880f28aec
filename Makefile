# Short names for what people and CI do. `make` alone lists them.

SHELL := bash
CARGO ?= cargo
# Where cargo puts what it builds.
TARGET = $(or $(CARGO_TARGET_DIR),target)

.PHONY: help demo test oracle fmt lint tools clean-tools check-cargo check-tools

help: ## this list
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 16

# A PostgreSQL found on the PATH or in Debian's place is taken; else one is fetched. `pgark demo` looks into the folder
# that PGARK_POSTGRES_BIN names.
demo: check-cargo ## back up a throw-away shop database, restore it and compare
	@set -euo pipefail; \
	bin=$${PGARK_POSTGRES_BIN:-}; \
	if [ -z "$$bin" ]; then \
	    for initdb in "$$(command -v initdb || true)" $$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -rV); do \
	        if [ -x "$$initdb" ]; then bin=$$(dirname "$$(readlink -f "$$initdb")"); break; fi; \
	    done; \
	fi; \
	if [ -z "$$bin" ]; then \
	    $(MAKE) --no-print-directory check-tools; \
	    tests/tools/install postgres-18; \
	    bin=$$(readlink -f "$$(tests/tools/install --path)/postgres-18/bin"); \
	fi; \
	echo "PostgreSQL: $$bin"; \
	$(CARGO) build --quiet --package pgark-cli; \
	PGARK_POSTGRES_BIN=$$bin $(TARGET)/debug/pgark demo

# Binaries first, and all at once: the suites run them. One test binary a suite, whose tests share their servers.
test: check-cargo check-tools tools ## run every suite, against real PostgreSQL 13 to 18 and a real S3 server
	$(CARGO) build --workspace --bins --locked
	$(CARGO) test --workspace --locked

oracle: check-cargo check-tools tools ## compare with pg_dump over PostgreSQL's own regression database
	$(CARGO) test --package pgark-tests --test fidelity --locked oracle:: -- --nocapture

fmt: check-cargo ## format the code
	$(CARGO) fmt --all

lint: check-cargo ## check formatting and lints, as CI does
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

tools: check-tools ## fetch what tests need into .tools
	@tests/tools/install

clean-tools: ## remove what `make tools` fetched
	rm -rf "$$(tests/tools/install --path)" .tools

check-cargo:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing. Install Rust with rustup: https://rustup.rs" >&2; exit 1; }

check-tools:
	@command -v npm >/dev/null || { \
	    echo "npm is missing. Install Node.js with npm. Debian: apt-get install nodejs npm" >&2; exit 1; }
	@python3 -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "Python 3 with venv is missing. Debian: apt-get install python3 python3-venv" >&2; exit 1; }
