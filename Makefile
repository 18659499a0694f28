# Everything runs in .venv, which is made again when pyproject.toml changes; what bench-peers compares with has
# .venv-peers, what audits has .venv-audit. `make` alone lists what there is.
#   PYTHON=python3.12   the interpreter to build .venv with; otherwise the newest from 3.13 to 3.11
#   ARGS="..."          more arguments, for demo, test, bench and bench-peers
#   WORKERS=3           how many processes run the tests; each has servers of its own

ARGS ?=
WORKERS ?= 3
NEW_ENOUGH = -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python $(NEW_ENOUGH) 2>/dev/null && echo $$python && break; done)
POSTGRES_15_BINDIR ?= /usr/lib/postgresql/15/bin
PGBOUNCER ?= /usr/sbin/pgbouncer
CHROMIUM ?= /usr/bin/chromium
VENV_PACKAGE = $(shell $(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])' 2>/dev/null)

POSTGRES_SERVERS ?= $(CURDIR)/.servers

export POSTGRES_15_BINDIR
export PGBOUNCER
export CHROMIUM
export POSTGRES_SERVERS
export DEBIAN_FRONTEND = noninteractive
export PIP_DISABLE_PIP_VERSION_CHECK = 1

BIN := .venv/bin
PEERS := tests/benchmarks/peers/requirements.txt

# $(call need,<command that is true when it is there>,<what for>,<Debian package>)
define need
	@$(1) >/dev/null 2>&1 || { \
		command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] \
			&& echo "installing $(3): $(2)" && apt-get -qq update && apt-get -qq -y install --no-install-recommends $(3) \
			&& $(1) >/dev/null 2>&1; \
	} || { echo "$(2) is missing. On Debian or Ubuntu: sudo apt-get install $(3). Then run make again." >&2; exit 1; }
endef

.PHONY: help demo test lint types imports bench bench-peers audit servers sdk-packages clean postgres-15 pgbouncer

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 13

demo: .venv/.installed-demo ## see a row become a vector, with a Postgres of its own
	$(BIN)/cdc demo $(ARGS)

test: postgres-15 pgbouncer chromium servers sdk-packages lint types imports ## install what is missing, then check everything
	$(BIN)/pytest -n $(WORKERS) $(ARGS)

lint: .venv/.installed-dev ## style
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/.installed-dev ## types
	$(BIN)/mypy

imports: .venv/.installed-dev ## who may import whom
	$(BIN)/lint-imports

bench: .venv/.installed-dev ## measure
	$(BIN)/python -m tests.benchmarks $(ARGS)

bench-peers: .venv/.installed-dev .venv-peers/.installed ## measure, beside other engines
	$(BIN)/python -m tests.benchmarks.peers $(ARGS)

audit: .venv/.installed-dev .venv-audit/.installed ## ask whether a dependency has a known hole; what is known is asked of PyPI
	@$(BIN)/pip freeze --exclude-editable > .venv-audit/installed.txt
	@.venv-audit/bin/pip-audit --strict --requirement .venv-audit/installed.txt --disable-pip --no-deps --progress-spinner off \
		|| { echo "make audit: a hole is known (listed above), or the list of known ones was not reached, so that nothing was asked (an error above)." >&2; exit 1; }

servers: .venv/.installed-dev ## Postgres 14, 16 and 17 for the tests, where they can be had
	@$(BIN)/python -m tests.fetch $(POSTGRES_SERVERS)

sdk-packages: .venv/.installed-dev ## Node and Inngest's SDKs for it, for the tests with them
	@$(BIN)/python -m tests.sdk.packages

clean: ## remove the environments and everything that was built
	rm -rf .venv .venv-peers .venv-audit .servers .node tests/sdk/node/node_modules build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find cdc functions tests -name __pycache__ -prune -exec rm -rf {} +

postgres-15:
	$(call need,test -x $(POSTGRES_15_BINDIR)/postgres,Postgres 15 in $(POSTGRES_15_BINDIR),postgresql-15)

pgbouncer:
	$(call need,test -x $(PGBOUNCER),PgBouncer in $(PGBOUNCER),pgbouncer)

chromium:
	$(call need,test -x $(CHROMIUM),Chromium in $(CHROMIUM),chromium fonts-dejavu-core)

.venv/.installed-demo: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable '.[embedded,local]'
	@touch $@

# pip learnt to install dependency groups in 25.1.
.venv/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable '.[embedded,local,local-fast,anthropic,gemini,inngest,otel]' --group dev
	@touch $@

# Apart, so that nothing of theirs is in the service's environment, nor its versions bound by theirs.
.venv-peers/.installed: $(PEERS) | $(BIN)/python
	$(BIN)/python -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --upgrade --requirement $(PEERS)
	@touch $@

# Apart: what audits is no dependency, and must not be audited.
.venv-audit/.installed: | $(BIN)/python
	$(BIN)/python -m venv .venv-audit
	.venv-audit/bin/pip install --quiet --upgrade pip-audit
	@touch $@

$(BIN)/python:
	@[ -n "$(PYTHON)" ] && $(PYTHON) $(NEW_ENOUGH) || { echo "cdc needs Python 3.11 or newer; install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(call need,$(PYTHON) -c 'import ensurepip',Python's module ensurepip,$(VENV_PACKAGE))
	$(PYTHON) -m venv .venv
