# The commands of everyday work. `make` alone lists them.
#
# Every build goes over the whole workspace with one profile: DuckDB's C++ is then compiled once (about 15 minutes on
# two cores) and shared by all of these. Selecting single crates may select other features, and compile it again.

# Rows of the sample data, for `demo` and `bench`. Empty means the default of the command.
ROWS ?=
# Further arguments, passed on as they are.
ARGS ?=

rows = $(if $(ROWS),--rows $(ROWS))

.DEFAULT_GOAL := help
.PHONY: help build demo test bench check

help: ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F '|' '{ printf "  make %-8s %s\n", $$1, $$2 }'

build: ## build `pintail` into target/debug
	@scripts/setup
	cargo build --workspace --bin pintail

demo: ## sync a sample shop into a local lake, and show what happened (ROWS=1000000)
	@scripts/setup
	cargo build --workspace --bin pintail
	@"$${CARGO_TARGET_DIR:-target}/debug/pintail" demo $(rows) $(ARGS)

test: ## install what the tests need, run all of them (ARGS= goes to cargo test)
	@scripts/test $(ARGS)

bench: ## compare Pintail with the wire and with DuckDB alone (ROWS=5000000 ARGS='--only postgres,hard')
	@scripts/setup --tests
	@scripts/bench $(rows) $(ARGS)

check: ## formatting, lints, and the rules of the house
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --quiet -p pintail-testkit --test it tidy::
