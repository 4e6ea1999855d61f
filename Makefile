# Taskcore from a checkout: any Python creates .venv, and everything is installed there.

PYTHON ?= python3
PORT ?= $(or $(TASKCORE_API__PORT),8080)
ARGS ?=
DURATIONS ?=
ONLY ?=
LIST ?=
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) * 3 / 2)))
BASE ?= python:3.13-slim-bookworm
BUILD ?=
DEV ?=
IMAGES ?= taskcore-
VERSION ?= $(shell cat VERSION)
REVISION ?= $(shell git describe --always --abbrev=40 --dirty)

BIN := .venv/bin
PACKAGES := libs/taskcore libs/taskclient services/api services/worker services/collector-analytics \
	services/collector-k8s services/standalone
IN_IMAGES := api worker collector-analytics collector-k8s
OWN := taskcore taskclient taskapi taskworker collector-analytics collector-k8s taskstandalone
PIP := $(BIN)/python -m pip --disable-pip-version-check
# More workers than processors, because many tests wait. The servers are shared by all workers.
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --timeout 600
# What stores, finds and moves tasks, and how sessions are set up.
ON_OLDEST_POSTGRES := $(addprefix tests/taskcore/db/,queues schedules test_connections.py test_migrations.py test_query_plans.py \
	tasks/test_actions.py tasks/test_claims.py tasks/test_settlements.py tasks/test_submit.py) \
	tests/taskcore/leasing/test_control_listener.py tests/taskworker/coordinator/test_rescuer.py
INSTALL := $(PIP) install --quiet --no-deps --require-hashes
COMPOSE ?= $(shell docker compose version > /dev/null 2>&1 && echo docker compose || echo docker-compose)
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links $(OWN:%=--no-emit-package %)

.DELETE_ON_ERROR:
.PHONY: help run up compose down logs test test-fast test-oldest-postgres test-containers check bench faults docs lock images $(IN_IMAGES:%=image-%) clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1	/p' Makefile | expand -t 17

run: .venv/.packages  ## run all of Taskcore on this machine with its own database: PORT=8080
	TASKCORE_API__PORT=$(PORT) exec $(BIN)/taskcore-standalone $(ARGS)

# With a registry in IMAGES the images are pulled, otherwise built.
up: compose $(if $(findstring /,$(IMAGES)),,images)  ## run all of Taskcore in containers with compose.yaml; DEV=1: with the sources of this checkout
	deploy/passwords .env
	$(if $(findstring /,$(IMAGES)),$(COMPOSE) pull)
	$(if $(DEV),$(COMPOSE) build)
	$(COMPOSE) up --detach --no-build $$($(COMPOSE) up --help | grep --only-matching --max-count 1 -e '--wait\b') || \
		{ $(COMPOSE) logs --tail 20 migrate; echo 'What to do: docs/containers.md, "When make up fails"' >&2; exit 1; }
	@echo "The API:  http://$$($(COMPOSE) port api 8080)"
	@echo "Traces:   http://$$($(COMPOSE) port jaeger 16686)"

compose:
	@$(COMPOSE) version > /dev/null || { echo 'Docker with Compose is required: https://docs.docker.com/compose/install/' >&2; exit 1; }

down:  ## stop and remove those containers; ARGS=--volumes removes their data too
	$(COMPOSE) down $(ARGS)

logs:  ## follow their logs; ARGS=worker for one service
	$(COMPOSE) logs --follow --tail 100 $(ARGS)

up down logs: export BASE := $(BASE)
up down logs: export IMAGES := $(IMAGES)
up down logs: export VERSION := $(VERSION)
up down logs: export REVISION := $(REVISION)
up down logs: export COMPOSE_FILE := compose.yaml$(if $(DEV),:compose.dev.yaml)$(patsubst %,:%,$(wildcard compose.override.yaml))

# A file goes to one worker, because its tests may share a system of processes.
test: .venv/.dev  ## run all tests; ARGS="tests/taskstandalone -k adopted" for some
	harness/provide_servers
	$(PYTEST) --dist loadfile --no-loadscope-reorder $(DURATIONS:%=--durations=%) $(ARGS)

test-fast: .venv/.dev  ## run the tests that need neither Taskcore's programs nor much time
	$(PYTEST) --dist worksteal -m 'not slow and not system' $(ARGS)

test-oldest-postgres: .venv/.dev  ## run the tests of the hot statements on the oldest PostgreSQL that Debian has here
	harness/provide_servers
	TASKCORE_TEST_POSTGRES=debian $(BIN)/python -m pytest $(ON_OLDEST_POSTGRES) $(ARGS)

test-containers: .venv/.dev  ## run the tests that need a container engine: they build and run the images
	$(BIN)/python -m pytest tests/containers/engine $(ARGS)

check: .venv/.dev  ## check style, types, imports, vocabulary, sizes and the generated pages
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate_pages.py --check
	$(BIN)/python -m checks

bench: .venv/.dev  ## run the benchmarks; results are written to bench/results.json
	$(BIN)/python -m bench $(ARGS)

faults: .venv/.dev  ## inject faults under load and check the results; ONLY=name,name for some, LIST=1 for the names
	harness/provide_servers
	$(BIN)/python -m faults $(ONLY:%=--only=%) $(LIST:%=--list) $(ARGS)

docs: .venv/.dev  ## write the generated pages
	$(BIN)/python docs/generate_pages.py

lock: .venv/.dev  ## lock new dependencies; LOCK=--upgrade upgrades all of them
	$(COMPILE) $(LOCK) requirements/run.in -o requirements/run.txt
	$(COMPILE) $(LOCK) requirements/run.in requirements/dev.in -c requirements/run.txt -o requirements/dev.txt
	echo hatchling | $(COMPILE) - -c requirements/run.txt -o requirements/build.txt
	echo watchfiles | $(COMPILE) - -c requirements/run.txt -o requirements/reload.txt
	for service in $(IN_IMAGES); do \
		printf -- '-e libs/taskcore\n-e services/%s\n' $$service | \
			$(COMPILE) - -c requirements/run.txt -o requirements/$$service.txt || exit; \
	done

images: $(IN_IMAGES:%=image-%)  ## build an image per service: BASE, BUILD="--network host", IMAGES=prefix, VERSION, REVISION

# Build arguments without a value come from the environment; only the first stage has them.
$(IN_IMAGES:%=image-%): image-%:
	docker build $(BUILD) --file services/$*/Dockerfile --tag $(IMAGES)$*:$(VERSION) --build-arg BASE=$(BASE) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) \
		--build-arg PIP_INDEX_URL --build-arg PIP_EXTRA_INDEX_URL --build-arg PIP_TRUSTED_HOST .

clean:  ## remove everything that make created, except the data in .taskcore
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis
	find $(PACKAGES) checks harness tests bench faults -name __pycache__ -prune -exec rm -rf {} +

# A stamp file is written when its step is complete, so an interrupted step starts again.

.venv/.python:
	@for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
			"$$python" -m venv .venv && touch $@ && exit; \
			echo "$$python cannot create a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; \
		fi; \
	done; \
	echo "Taskcore needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Choose another" \
		"with make PYTHON=/path/to/python3.12" >&2; exit 1

.venv/.packages: .venv/.python VERSION requirements/run.txt $(PACKAGES:%=%/pyproject.toml)
	@echo 'Installing the dependencies of Taskcore into .venv'
	$(INSTALL) -r requirements/run.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --no-index $(PACKAGES:%=-e ./%)
	@touch $@

.venv/.dev: .venv/.packages requirements/dev.txt
	@echo 'Installing the dependencies of the tests into .venv'
	$(INSTALL) -r requirements/dev.txt
	@touch $@
