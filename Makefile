# Short names for what people and CI do. `make` alone lists them.

SHELL := bash
CARGO ?= cargo
# Where cargo puts what it builds.
TARGET = $(or $(CARGO_TARGET_DIR),target)

# The stacks of samconfig.toml, and the event of `make invoke-FUNCTION`: restore-test-image takes those of restore-test.
STACK ?= pgark
STORAGE_STACK = $(shell sed -n '/^\[storage\./,/^\[default/s/^stack_name = "\(.*\)"/\1/p' samconfig.toml)
EVENT ?= events/$(patsubst %-image,%,$*)/default.json
# The resource of a function in template.yaml: backup -> BackupFunction, health-check -> HealthCheckFunction.
RESOURCE = $(shell sed 's/\b\(.\)/\u\1/g; s/-//g; s/$$/Function/' <<<'$*')
export SAM_CLI_TELEMETRY ?= 0
# `aws` reads AWS_REGION, SAM only the other one.
ifdef AWS_REGION
export AWS_DEFAULT_REGION := $(AWS_REGION)
endif

.PHONY: help demo test oracle fmt lint lint-templates build package deploy-storage deploy destroy tools clean-tools check-cargo \
    check-tools check-sam

help: ## this list
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z-]*%*\):.*## \(.*\)/  \1\t\2/p' Makefile | sed 's/%/FUNCTION/' | expand -t 20

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

lint-templates: ## check the templates offline: SAM, cfn-lint, checkov, hadolint. `tests/tools/install` of these fetches them
	AWS_DEFAULT_REGION=eu-central-1 sam validate --lint
	cfn-lint template.yaml infra/*.yaml infra/cloudflare-worker/*.yaml
	"$$(tests/tools/install --path)/checkov/bin/checkov" --config-file .ci/checkov.yaml
	"$$(tests/tools/install --path)/hadolint/bin/hadolint" infra/restore-test-image/Dockerfile

build: check-cargo check-sam ## build the Lambda functions into .aws-sam/build
	sam build

package: build ## build, and make a zip of each function: its size, and the C library that it asks for
	infra/package .aws-sam/build

deploy-storage: check-sam ## deploy to AWS what must outlive everything: bucket, key, secrets (docs/deploy.md)
	sam deploy --config-env storage

deploy: deploy-storage build ## deploy to AWS what samconfig.toml says: the storage, then the application
	sam deploy --stack-name $(STACK)

# With more than one attempt SAM calls the function again when there is no answer after a minute. The answer of a failed run
# is one like others for it.
invoke-%: check-sam ## run a function now, say make invoke-backup EVENT=events/backup/dry-run.json
	@answer=$$(AWS_MAX_ATTEMPTS=1 sam remote invoke --stack-name $(STACK) $(RESOURCE) --event-file $(EVENT)) || { \
	    echo "After a read timeout the function runs on: make logs-$* follows it." >&2; exit 1; }; \
	echo "$$answer"; ! grep -qE '^\{"error(Type|Message)":' <<<"$$answer"

logs-%: check-sam ## the log of a function as it comes, say make logs-backup
	sam logs --stack-name $(STACK) --name $(RESOURCE) --tail

destroy: check-sam ## delete the application. Backups, their key and secrets stay: they are in a stack of their own
	$(if $(filter $(STORAGE_STACK),$(STACK)),$(error $(STACK) holds the backups and is not for deleting; docs/deploy.md says how to get rid of it))
	sam delete --stack-name $(STACK)

tools: check-tools ## fetch what tests need into .tools
	@tests/tools/install

clean-tools: ## remove what `make tools` fetched
	rm -rf "$$(tests/tools/install --path)" .tools

# SAM, and what it calls: the ones in .tools if they are there, else those on the PATH.
lint-templates build deploy-storage deploy destroy check-sam: export PATH := $(CURDIR)/.tools/sam/bin:$(PATH)
invoke-% logs-%: export PATH := $(CURDIR)/.tools/sam/bin:$(PATH)

check-cargo:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing. Install Rust with rustup: https://rustup.rs" >&2; exit 1; }

check-tools:
	@command -v npm >/dev/null || { \
	    echo "npm is missing. Install Node.js with npm. Debian: apt-get install nodejs npm" >&2; exit 1; }
	@python3 -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "Python 3 with venv is missing. Debian: apt-get install python3 python3-venv" >&2; exit 1; }

check-sam:
	@command -v sam >/dev/null && command -v cargo-lambda >/dev/null || { \
	    echo "sam or cargo-lambda is missing: tests/tools/install sam fetches both, or pip install aws-sam-cli cargo-lambda ziglang" >&2; \
	    exit 1; }
