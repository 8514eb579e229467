# Each target makes the virtual environment it needs; nothing else has to be installed but Python 3.11 or newer and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WEAVIATE_VERSION := 1.39.0
WEAVIATE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/regalia/weaviate-$(WEAVIATE_VERSION)/weaviate-server
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_REQUIRE_VIRTUALENV := 1

.DEFAULT_GOAL := help
.PHONY: help demo rehearsal test check bench crash soak weaviate lock docs clean

help: ## Say what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.demo: pyproject.toml requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml requirements-dev.lock $(VENV)/.demo
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-dev.lock
	@touch $@

demo: $(VENV)/.demo ## Tell the whole story with real processes, in a temporary folder
	@$(BIN)/reg demo

test: $(VENV)/.dev ## Run the tests
	@$(BIN)/python -m pytest -n auto --dist worksteal

rehearsal: $(VENV)/.dev ## Tell it over PostgreSQL, S3, two replicas, a worker and nginx, which this machine must have
	@$(BIN)/python -m deploy.rehearsal

weaviate: $(WEAVIATE) ## Build the Weaviate that tests use, once (needs Go and some minutes); they skip it where it is not there

$(WEAVIATE):
	@mkdir -p $(@D)
	CGO_ENABLED=1 GOBIN=$(@D) go install -trimpath -ldflags '-s -w' github.com/weaviate/weaviate/cmd/weaviate-server@v$(WEAVIATE_VERSION)

check: $(VENV)/.dev ## Format, lint, types and tests: what CI runs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(MAKE) --no-print-directory test

crash: $(VENV)/.dev $(WEAVIATE) ## Kill every process of a move at every edge of its course, and hundreds at random: hours
	@REGALIA_CRASH=all REGALIA_CRASH_STORES=sqlite,postgresql $(BIN)/python -m pytest -q -s tests/service/test_crash_matrix.py tests/service/test_crash_at_random.py

soak: $(VENV)/.dev ## Load for MINUTES (10) while a channel is restored every 20 s, then as long while replicas, stores and workers die
	@REGALIA_SOAK_MINUTES=$(or $(MINUTES),10) $(BIN)/python -m pytest -q -s tests/service/test_soak.py tests/service/test_scaled_soak.py

bench: $(VENV)/.dev ## Measure against peers, and print the table of ratios
	@$(BIN)/python -m bench

lock: $(VENV)/.dev ## Renew the locked requirements
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-emit-package regalia --extra all pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-emit-package regalia --extra dev --constraints requirements.lock pyproject.toml -o requirements-dev.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-emit-package regalia --extra server --extra cli --extra pgvector --extra weaviate --constraints requirements.lock pyproject.toml -o deploy/requirements.lock
	@printf 'build\nhatchling\n' | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --constraints requirements-dev.lock - -o deploy/requirements-build.lock

docs: $(VENV)/.dev ## Write the generated page again: the CLI reference
	@$(BIN)/python docs/generate.py

clean: ## Remove what the targets made
	@rm -rf $(VENV) .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis
