# The front door. `make` lists what there is.

CARGO   ?= cargo
BIN      = $${CARGO_TARGET_DIR:-target}/release

.DEFAULT_GOAL := help
.PHONY: help demo test check chaos bench build miri postgres

help: ## list the targets
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: .*## /|/' | \
	  awk -F'|' '{ printf "  make %-10s %s\n", $$1, $$2 }'

demo: postgres build ## build, then search a network for handwritten digits with two workers
	@$(BIN)/strop demo

build: ## the three programs, optimised: strop, strop-coordinator, strop-worker
	$(CARGO) build --release --locked -p coordinator -p worker -p cli

test: postgres ## every test; starts a private Postgres of its own
	$(CARGO) build --workspace --bins --locked
	$(CARGO) test --workspace --locked

check: ## what continuous integration runs: tests, lints, documentation, the external worker
	.ci/run

chaos: postgres ## break everything on purpose for ten minutes; CHAOS_SECONDS and CHAOS_SEED change that
	$(CARGO) build --workspace --bins --locked
	$${CARGO_TARGET_DIR:-target}/debug/chaos run

bench: ## measurements, each with its last numbers in the head of its file
	$(CARGO) bench --locked -p benches

miri: ## the kernels' `unsafe` under an interpreter that sees undefined behaviour; wants nightly Rust with miri
	MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-tree-borrows -Zmiri-ignore-leaks" $(CARGO) +nightly miri test -p kernels

postgres: ## make sure that PostgreSQL's server programs are installed
	@deploy/install-postgres.sh
