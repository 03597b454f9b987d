# camfleet: every step is a target of its own; `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export CAMFLEET_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/camfleet
export PYTHONPATH := tests/support
export UV_PYTHON_DOWNLOADS := never
# Debian's Python where it is there: images have it, and it is built with profile-guided optimisation,
# which is worth a tenth of what a stream costs.
ifneq ($(wildcard /usr/bin/python3.11),)
export UV_PYTHON ?= /usr/bin/python3.11
endif
UV := $(CAMFLEET_CACHE)/uv/bin/uv
UV_VERSION := 0.13.9
PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
# A file's tests stay together. Tests on the wire wait for cameras most of their time, so there are
# more of them at once than cores.
IN_PARALLEL := -n 3 --dist loadfile
MANY_IN_PARALLEL := -n 5 --dist loadfile

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

# ---- set-up -------------------------------------------------------------------------------

$(UV):
	@echo "installing uv $(UV_VERSION) into $(CAMFLEET_CACHE)/uv"
	@python3 -c 'import ensurepip, venv' 2>/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq python3-venv; } >/dev/null
	@python3 -m venv $(CAMFLEET_CACHE)/uv
	@$(CAMFLEET_CACHE)/uv/bin/pip install -q --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: pyproject.toml uv.lock | $(UV)
	@$(UV) sync --quiet --frozen --compile-bytecode
	@touch $@

.PHONY: setup
setup: .venv/.synced ## Python environment from the lock file

# What the image holds: the media path compiled by mypyc. Tests on the wire, proofs and measurements
# run it; unit tests run the sources.
COMPILED := .compiled
COMPILED_FROM := workers/compile_media.py uv.lock \
  $(sort $(shell find crds/camfleet_api crds/camfleet_base operator/camfleet_operator workers/camfleet_worker \
      -name '*.py'))
# A source that has gone has no date: the list of names tells.
ifneq ($(strip $(file <$(COMPILED)/.from)),$(strip $(COMPILED_FROM)))
$(COMPILED)/.built: always
endif
always:
AS_SHIPPED := PYTHONPATH=$(CURDIR)/$(COMPILED):$(CURDIR)/tests/support:$(CURDIR)/tests

$(COMPILED)/.built: $(COMPILED_FROM) | .venv/.synced
	@echo "compiling the media path (some 45 s)"
	@rm -rf $(COMPILED)
	@$(UV) pip install --quiet --no-deps --compile-bytecode --python $(PYTHON) --target $(COMPILED) .
	@$(PYTHON) workers/compile_media.py $(COMPILED)
	@echo "$(COMPILED_FROM)" > $(COMPILED)/.from
	@touch $@

.PHONY: compiled
compiled: $(COMPILED)/.built ## The worker as in the image, its media path compiled by mypyc

.PHONY: prerequisites
prerequisites: setup ## Debian packages, Kubernetes binaries (built once), footage
	@bash tests/support/local_cluster/prerequisites.sh
	@$(PYTHON) -m local_cluster build
	@$(PYTHON) -m camera_simulator.footage

# ---- the product to look at ---------------------------------------------------------------

.PHONY: demo
demo: prerequisites ## A cluster, a VMS, cameras, one province, and the proof (CLUSTER=current: your own)
	@$(PYTHON) -m demo up --cluster $(or $(CLUSTER),local)

.PHONY: demo-figures
demo-figures: setup ## Writes, recovery and removal, measured on the running demo (removes the province)
	@$(PYTHON) -m demo figures --cluster $(or $(CLUSTER),local)

.PHONY: demo-kubeconfig
demo-kubeconfig: ## Print the path of the demo's kubeconfig
	@$(PYTHON) -m local_cluster kubeconfig --name demo

.PHONY: demo-down
demo-down: setup ## Remove what `make demo` made
	@$(PYTHON) -m demo down --cluster $(or $(CLUSTER),local)

.PHONY: image
image: prerequisites ## Build the product image localhost/camfleet:dev into the cache, without Docker
	@$(PYTHON) -m local_cluster build-image --containerfile charts/image/Containerfile --context . --tag localhost/camfleet:dev

# ---- checks and tests ---------------------------------------------------------------------

.PHONY: generate
generate: setup ## Write CRDs, chart copies and references from the models
	@$(PYTHON) -m chart_values
	@$(PYTHON) -m camfleet_api.generate
	@$(PYTHON) -m camfleet_operator.settings_reference
	@$(PYTHON) -m camfleet_worker.settings_reference
	@$(PYTHON) -m camera_simulator.quirk_table
	@$(PYTHON) -m camfleet_worker.metrics.reference
	@$(PYTHON) -m camfleet_worker.codec_reference
	@$(PYTHON) -m camfleet_operator.metrics.reference

.PHONY: format
format: setup ## Format the code
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix --quiet .

.PHONY: lint
lint: setup ## Style, import directions, generated files
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/lint-imports
	@$(PYTHON) -m chart_values --check
	@$(PYTHON) -m camfleet_api.generate --check
	@$(PYTHON) -m camfleet_operator.settings_reference --check
	@$(PYTHON) -m camfleet_worker.settings_reference --check
	@$(PYTHON) -m camera_simulator.quirk_table --check
	@$(PYTHON) -m camfleet_worker.metrics.reference --check
	@$(PYTHON) -m camfleet_worker.codec_reference --check
	@$(PYTHON) -m camfleet_operator.metrics.reference --check

.PHONY: types
types: setup ## mypy, strict
	@.venv/bin/mypy

.PHONY: unit
unit: setup ## Pure tests and rules of the house, seconds
	@$(PYTEST) tests/unit tests/house

.PHONY: wire
wire: prerequisites compiled ## Real sockets: cameras, GStreamer, nginx-rtmp
	@$(AS_SHIPPED) $(PYTEST) $(MANY_IN_PARALLEL) tests/wire

.PHONY: cluster
cluster: prerequisites compiled ## Contract, operator and worker against a real API server
	@$(AS_SHIPPED) $(PYTEST) tests/cluster

.PHONY: e2e
e2e: prerequisites ## Real worker pods on a real node
	@$(PYTEST) tests/e2e

.PHONY: fuzz
fuzz: compiled ## Hostile input for every parser, conversations with hostile cameras (INPUTS=1000000)
	@$(AS_SHIPPED) $(PYTHON) -m fuzzer --inputs $(or $(INPUTS),1000000) --conversations $(or $(CONVERSATIONS),10000)

.PHONY: test
test: prerequisites compiled lint types ## All tests; what CI runs
	@$(PYTEST) $(IN_PARALLEL) tests/unit tests/house
	@$(AS_SHIPPED) $(PYTEST) $(MANY_IN_PARALLEL) tests/wire
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=line cluster e2e

# ---- measurements -------------------------------------------------------------------------

.PHONY: bench-fleet
bench-fleet: prerequisites compiled ## 500 cameras lose their line and return: time, connects, logins, writes (10 min)
	@$(AS_SHIPPED) $(PYTHON) -m benchmarks.fleet line-cut

.PHONY: bench-flapping
bench-flapping: prerequisites compiled ## A third of a worker's cameras come and go: memory, files, tasks, frames (MINUTES=60)
	@$(AS_SHIPPED) $(PYTHON) -m benchmarks.fleet flapping --minutes $(or $(MINUTES),60)

.PHONY: bench-receive
bench-receive: prerequisites compiled ## What receiving costs: ours, PyAV's reader and ffmpeg in one run (5 min)
	@bash tests/support/local_cluster/prerequisites.sh ffmpeg
	@$(AS_SHIPPED) $(PYTHON) -m benchmarks.ingest receive --rounds 3

.PHONY: bench-ingest
bench-ingest: prerequisites compiled ## Recording and relaying: ours, PyAV, ffmpeg at 10 to 200 streams; table and plot (15 min)
	@bash tests/support/local_cluster/prerequisites.sh ffmpeg
	@$(AS_SHIPPED) $(PYTHON) -m benchmarks.ingest ingest $(if $(STREAMS),--streams $(STREAMS))

.PHONY: bench-ingest-variants
bench-ingest-variants: prerequisites compiled ## The price of the tick, of TLS, RTMP, long GOPs; up to 500 streams (10 min)
	@$(AS_SHIPPED) $(PYTHON) -m benchmarks.ingest variants
	@$(AS_SHIPPED) $(PYTHON) -m benchmarks.ingest many

.PHONY: bench-latency
bench-latency: prerequisites compiled ## How much later a picture is at the monitoring system, by tick (4 min)
	@$(AS_SHIPPED) $(PYTHON) -m benchmarks.ingest.latency

.PHONY: bench-picture
bench-picture: prerequisites compiled ## The watch on the picture: false alarms, detection times, CPU a camera (3 min)
	@$(AS_SHIPPED) $(PYTHON) -m benchmarks.picture

.PHONY: prove-frames
prove-frames: prerequisites compiled ## Every picture sent is on disk and at the VMS, once, in order, whatever happens (MINUTES=10)
	@$(AS_SHIPPED) $(PYTHON) -m benchmarks.ingest_proof frames --minutes $(or $(MINUTES),10)

.PHONY: prove-sinks
prove-sinks: prerequisites compiled ## A VMS that goes away, one behind 100 kbit/s, and a full disk, at the same time (MINUTES=5)
	@$(AS_SHIPPED) $(PYTHON) -m benchmarks.ingest_proof sinks --minutes $(or $(MINUTES),5)

.PHONY: prove-kills
prove-kills: prerequisites compiled ## A recording worker is killed again and again: what each kill costs (KILLS=50)
	@$(AS_SHIPPED) $(PYTHON) -m benchmarks.ingest_proof kills --kills $(or $(KILLS),50)

.PHONY: prove-players
prove-players: prerequisites compiled ## Recordings and exports in ffprobe, GStreamer and Chromium, which it installs (SCREENSHOTS=folder)
	@bash tests/support/local_cluster/prerequisites.sh ffmpeg chromium
	@$(AS_SHIPPED) $(PYTHON) -m benchmarks.ingest_proof players --screenshots $(or $(SCREENSHOTS),$(CAMFLEET_CACHE)/screenshots)
