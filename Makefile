# Taskcore from a checkout: everything is made in .venv by a plain Python, nothing is installed outside of it.

PYTHON ?= python3
PORT ?= $(or $(TASKCORE_API__PORT),8080)
ARGS ?=
ONLY ?=
LIST ?=
BASE ?= python:3.13-slim-bookworm
BUILD ?=
DEV ?=
IMAGES ?= taskcore-
VERSION ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' libs/taskcore/pyproject.toml)
REVISION ?= $(shell git describe --always --abbrev=40 --dirty)

BIN := .venv/bin
PACKAGES := libs/taskcore libs/taskclient services/api services/worker services/collector-analytics \
	services/collector-k8s services/standalone
IN_IMAGES := api worker collector-analytics collector-k8s
OWN := taskcore taskclient taskapi taskworker collector-analytics collector-k8s taskstandalone
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --no-deps --require-hashes
COMPOSE ?= $(shell docker compose version > /dev/null 2>&1 && echo docker compose || echo docker-compose)
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links $(OWN:%=--no-emit-package %)

.DELETE_ON_ERROR:
.PHONY: help run up compose down logs test test-containers check bench faults docs lock images $(IN_IMAGES:%=image-%) clean

help:  ## what there is
	@sed -n 's/^\([a-z-]*\):.*  ## /\1	/p' Makefile | expand -t 17

run: .venv/.packages  ## the whole of Taskcore on this machine, with a database of its own: PORT=8080
	TASKCORE_API__PORT=$(PORT) exec $(BIN)/taskcore-standalone $(ARGS)

# Where IMAGES names a registry they come from there, else they are made here.
up: compose $(if $(findstring /,$(IMAGES)),,images)  ## the whole of Taskcore in containers, by compose.yaml; DEV=1: with this checkout's sources
	deploy/passwords .env
	$(if $(findstring /,$(IMAGES)),$(COMPOSE) pull)
	$(if $(DEV),$(COMPOSE) build)
	$(COMPOSE) up --detach --no-build $$($(COMPOSE) up --help | grep --only-matching --max-count 1 -e '--wait\b') || \
		{ $(COMPOSE) logs --tail 20 migrate; echo 'What to do: docs/containers.md, "When make up fails"' >&2; exit 1; }
	@echo "The API:  http://$$($(COMPOSE) port api 8080)"
	@echo "Traces:   http://$$($(COMPOSE) port jaeger 16686)"

compose:
	@$(COMPOSE) version > /dev/null || { echo 'It takes Docker, with Compose: https://docs.docker.com/compose/install/' >&2; exit 1; }

down:  ## stop and remove those containers; their data stays, unless ARGS=--volumes
	$(COMPOSE) down $(ARGS)

logs:  ## what they say, as they say it: ARGS=worker for one service
	$(COMPOSE) logs --follow --tail 100 $(ARGS)

up down logs: export BASE := $(BASE)
up down logs: export IMAGES := $(IMAGES)
up down logs: export VERSION := $(VERSION)
up down logs: export REVISION := $(REVISION)
up down logs: export COMPOSE_FILE := compose.yaml$(if $(DEV),:compose.dev.yaml)$(patsubst %,:%,$(wildcard compose.override.yaml))

test: .venv/.dev  ## all tests; ARGS="tests/taskstandalone -k adopted" for some
	harness/rabbitmq/provide_rabbitmq
	$(BIN)/python -m pytest $(ARGS)

test-containers: .venv/.dev  ## what needs a container engine: images, built and run
	$(BIN)/python -m pytest tests/containers/engine $(ARGS)

check: .venv/.dev  ## style, types, import rules, and whether the generated pages are current
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate_pages.py --check
	$(BIN)/python -m checks

bench: .venv/.dev  ## the measurements, written to bench/results.json
	$(BIN)/python -m bench $(ARGS)

faults: .venv/.dev  ## faults under load, and whether they are withstood; ONLY=name,name for some, LIST=1 for the names
	harness/rabbitmq/provide_rabbitmq
	$(BIN)/python -m faults $(ONLY:%=--only=%) $(LIST:%=--list) $(ARGS)

docs: .venv/.dev  ## the generated pages
	$(BIN)/python docs/generate_pages.py

lock: .venv/.dev  ## pin the newest versions that fit; LOCK=--upgrade to move all of them
	$(COMPILE) $(LOCK) requirements/run.in -o requirements/run.txt
	$(COMPILE) $(LOCK) requirements/run.in requirements/dev.in -c requirements/run.txt -o requirements/dev.txt
	echo hatchling | $(COMPILE) - -c requirements/run.txt -o requirements/build.txt
	echo watchfiles | $(COMPILE) - -c requirements/run.txt -o requirements/reload.txt
	for service in $(IN_IMAGES); do \
		printf -- '-e libs/taskcore\n-e services/%s\n' $$service | \
			$(COMPILE) - -c requirements/run.txt -o requirements/$$service.txt || exit; \
	done

images: $(IN_IMAGES:%=image-%)  ## an image for each service: BASE, BUILD="--network host", IMAGES=prefix, VERSION, REVISION

# Arguments without a value are taken from the environment, where there is one: they are in the first stage alone.
$(IN_IMAGES:%=image-%): image-%:
	docker build $(BUILD) --file services/$*/Dockerfile --tag $(IMAGES)$*:$(VERSION) --build-arg BASE=$(BASE) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) \
		--build-arg PIP_INDEX_URL --build-arg PIP_EXTRA_INDEX_URL --build-arg PIP_TRUSTED_HOST .

clean:  ## remove what make made; data in .taskcore stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis
	find $(PACKAGES) checks harness tests bench faults -name __pycache__ -prune -exec rm -rf {} +

# A stamp is written when its step is done, so a step that was interrupted starts again.

.venv/.python:
	@for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
			"$$python" -m venv .venv && touch $@ && exit; \
			echo "$$python cannot make a virtual environment: on Debian, apt-get install python3-venv" >&2; exit 1; \
		fi; \
	done; \
	echo "Taskcore needs Python 3.11 or newer. $$($(PYTHON) --version 2>&1) is what $(PYTHON) says; name another" \
		"with make PYTHON=/path/to/python3.12" >&2; exit 1

.venv/.packages: .venv/.python requirements/run.txt $(PACKAGES:%=%/pyproject.toml)
	@echo 'Installing what Taskcore needs into .venv'
	$(INSTALL) -r requirements/run.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --no-index $(PACKAGES:%=-e ./%)
	@touch $@

.venv/.dev: .venv/.packages requirements/dev.txt
	@echo 'Installing what the tests need into .venv'
	$(INSTALL) -r requirements/dev.txt
	@touch $@
