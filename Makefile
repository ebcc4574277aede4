# The verbs of Slipway; `make help` prints them. Every target works without a terminal and asks nothing with YES=1.
#   PROJECT=.     any folder with deploy.toml, training/ and inference/
#   CLOUD=aws     the cloud to speak to: aws, or gcp (Vertex AI)
#   LIVE=1        the real cloud; without it, the local one, which starts by itself
#   CONTAINERS=   what the local one starts with: process, or podman or docker for containers of the image itself

PROJECT ?= .
CLOUD ?= aws
PEERS ?= fastapi flask litserve bentoml kserve
PYTHON ?= python3
export PROJECT CLOUD BODY CONTENT_TYPE ACCEPT CHOOSE COSINE FROM HANDLER TO SINCE SET INPUT OUTPUT ON_ERROR HEADER JOIN ENGINE TIMES CONCURRENCY PLOT FUZZ_S TTL

PY := .venv/bin/python
PIP := .venv/bin/pip --disable-pip-version-check
unless-watched := $(shell test -t 2 || echo --quiet)
needs := $(patsubst %,%/requirements.txt,inference/serving deploy infra/local)
# A project's requirements are known by their content: its path may hold blanks and quotes, which make cannot read.
quoted := '$(subst ','\'',$(value PROJECT))'
yours := $(quoted)/training/requirements.txt $(quoted)/inference/requirements.txt
ready := .venv/ready-$(firstword $(shell cat $(yours) 2>/dev/null | cksum))

flag = $(if $(filter 1,$($(1))),$(2))
given = $(if $($(1)),$(2)="$$$(1)")
options = --project "$$PROJECT" --cloud "$$CLOUD" $(call flag,YES,--yes) $(call flag,LIVE,--live)
ifdef CONTAINERS
export SLIPWAY_LOCAL_CONTAINERS := $(CONTAINERS)
endif
# Local is an address: the same verb, pointed at the local cloud by its environment.
address = $(if $(filter 1,$(LIVE)),,exports=$$($(PY) -m infra.local env --project "$$PROJECT") && eval "$$exports" &&)
verb = @$(address) $(PY) -m deploy $@ $(options)

.PHONY: help infra check optimize import deploy-endpoint batch-transform plan invoke latency train status logs rollback destroy env local-up local-down permissions test lint fuzz bench bench-serving
.DEFAULT_GOAL := help

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {gsub(/\$$\$$/, "$$"); printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo; sed -n '2,5s/^#  / /p' $(firstword $(MAKEFILE_LIST))

import: $(ready) ## lay out another server's model and handler: FROM=folder|model.tar.gz|model.mar [TO=…] [HANDLER=…]
	@$(PY) -m deploy $@ $(call given,FROM,--from) $(call given,TO,--to) $(call given,HANDLER,--handler)

infra: $(ready) ## make what must exist in the account first, or update it; SET='Email=me@example.org Amount=50'
	$(verb) $(call given,SET,--set)

deploy-endpoint: $(ready) ## train if there is no model, package, deploy, prove it with the samples; TTL=4h ends it
	$(verb) $(call given,TTL,--ttl)
	@$(if $(filter 1,$(LIVE)),:,echo '# first point a shell at the local cloud: eval "$$(make -s env)"')

# Without a cloud there is none to start.
batch-transform: $(ready) .venv/ready-parquet $(if $(filter ray,$(ENGINE)),.venv/ready-ray) ## score files: INPUT=… OUTPUT=… [ON_ERROR=keep], or here: ENGINE=local|ray
	$(if $(ENGINE),@$(PY) -m deploy $@ $(options),$(verb)) $(call given,INPUT,--input) $(call given,OUTPUT,--output) \
		$(call given,ON_ERROR,--on-error) $(call given,HEADER,--header) $(call given,JOIN,--join) \
		$(call given,ACCEPT,--accept) $(call given,ENGINE,--engine)

plan: $(ready) ## show what deploy-endpoint would change, and what it costs
	$(verb) $(call given,TTL,--ttl)

invoke: $(ready) ## send the samples, or BODY=file CONTENT_TYPE=text/csv ACCEPT=application/json
	$(verb) $(call given,BODY,--body) $(call given,CONTENT_TYPE,--content-type) $(call given,ACCEPT,--accept)

latency: $(ready) ## show where the time of answers goes; TIMES=100 CONCURRENCY=8 PLOT=file.png
	$(verb) $(call given,BODY,--body) $(call given,CONTENT_TYPE,--content-type) $(call given,ACCEPT,--accept) \
		$(call given,TIMES,--times) $(call given,CONCURRENCY,--concurrency) $(call given,PLOT,--plot)

# No cloud has a part in it.
check: $(ready) ## serve the archive as a container would, offline, and look it through
	@$(PY) -m deploy $@ $(options)

train: $(ready) ## train the model anew, as a job, and bring it to build/model
	$(verb)

# No cloud has a part in it.
optimize: $(ready) ## try what makes the model lighter; INPUT=more.jsonl CHOOSE=name|none COSINE=0.999
	@$(PY) -m deploy $@ $(options) $(call given,INPUT,--input) $(call given,CHOOSE,--choose) $(call given,COSINE,--cosine)

status: $(ready) ## show the endpoint, the version it serves and the versions kept
	$(verb)

logs: $(ready) ## print the container's log; FOLLOW=1 goes on, SINCE=10m starts there
	$(verb) $(call flag,FOLLOW,--follow) $(call given,SINCE,--since)

rollback: $(ready) ## serve the version before, or TO=<version>
	$(verb) $(call given,TO,--to)

destroy: $(ready) ## remove all that was deployed and prove it; YES=1 asks nothing
	$(verb)

env: $(ready) ## print what points an SDK at the local cloud: eval "$$(make -s env)"
	@$(PY) -m infra.local env --project "$$PROJECT"

local-up: $(ready) ## start the local cloud
	@$(PY) -m infra.local up --project "$$PROJECT"

permissions: $(ready) ## list what IAM refused in the local cloud, and what no role used; ROLE=<name> against a role
	@$(PY) -m infra.local permissions --project "$$PROJECT" $(call given,ROLE,--as)

local-down: $(ready) ## stop the local cloud with all its children
	@$(PY) -m infra.local down

test: .venv/ready-tests ## run every test, offline
	@$(PY) -m pytest

lint: .venv/ready-tests ## check format, rules, types, and who imports whom
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) -m pytest -q tests/test_layers.py tests/test_vocabulary.py

fuzz: .venv/ready-tests ## fuzz the archive readers and the decoders; FUZZ_S=60 seconds for each
	@$(PY) -m tests.fuzz $(call given,FUZZ_S,--seconds)

bench: .venv/ready-bench ## measure what bench/README.md promises
	@test -d "$$PROJECT/build/model" || $(PY) training/launch.py --project "$$PROJECT"
	@$(PY) -m bench.verbs --project "$$PROJECT"
	@$(PY) -m bench.packaging
	@$(PY) -m bench.batch --project "$$PROJECT" --memory

bench-serving: $(patsubst %,.venv-bench/%/pyvenv.cfg,slipway echo $(PEERS)) ## serve beside PEERS="fastapi litserve …" OPTIONS="--seconds 8 …"
	@$(PY) -m bench.serving $(OPTIONS)

# A peer that cannot be installed here is a row that says so.
.venv-bench/%/pyvenv.cfg: bench/serving/peers/requirements/%.txt | .venv/ready-tests
	-@$(PY) -m bench.serving.peers make $*

# Google's SDK is large: only who asks for CLOUD=gcp waits for it, once.
ifeq ($(CLOUD),gcp)
deploy-endpoint batch-transform infra plan invoke latency train status logs rollback destroy env local-up: .venv/ready-gcp
endif

# The environment. Whatever is said here goes to stderr, so that `make -s env` prints export lines alone.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "slipway: $(PYTHON) is too old: Python 3.11 or newer is needed; name one with PYTHON=…" >&2; exit 1; }
	@echo "slipway: making .venv" >&2
	@$(PYTHON) -m venv .venv >&2 || { echo "slipway: no .venv: on Debian, apt-get install python3-venv" >&2; rm -rf .venv; exit 1; }

# torch first and by its exact version: any other request pulls gigabytes of CUDA.
.venv/ready-torch: constraints.txt | .venv/bin/python
	@echo "slipway: installing torch, once (about 200 MB: most of the first run's time)" >&2
	@$(PIP) install $(unless-watched) -c constraints.txt torch==2.13.0 >&2
	@touch $@

$(ready): $(needs) constraints.txt | .venv/ready-torch
	@echo "slipway: installing what training, serving and the local cloud need, once" >&2
	@for list in $(yours); do test ! -f "$$list" || set -- "$$@" -r "$$list"; done; \
		$(PIP) install --quiet -c constraints.txt $(needs:%=-r %) "$$@" >&2
	@touch $@

# What a part of the verbs needs, so that the others need not wait for it.
.venv/ready-parquet .venv/ready-ray: .venv/ready-%: inference/serving/requirements-%.txt constraints.txt | $(ready)
	@echo "slipway: installing what $* needs, once" >&2
	@$(PIP) install --quiet -c constraints.txt -r $< >&2
	@touch $@

.venv/ready-gcp: deploy/requirements-gcp.txt infra/local/requirements-gcp.txt constraints.txt | $(ready)
	@echo "slipway: installing what CLOUD=gcp needs, once (Google's SDK)" >&2
	@$(PIP) install --quiet -c constraints.txt $(patsubst %,-r %,$(filter %-gcp.txt,$^)) >&2
	@touch $@

.venv/ready-tests: tests/requirements.txt $(wildcard inference/serving/requirements-*.txt) $(ready)
	@echo "slipway: installing what the tests need, once" >&2
	@$(PIP) install --quiet -c constraints.txt -r tests/requirements.txt >&2
	@touch $@

.venv/ready-bench: bench/requirements.txt .venv/ready-tests
	@echo "slipway: installing the peers to measure against, once" >&2
	@$(PIP) install --quiet -c constraints.txt -r bench/requirements.txt >&2
	@touch $@
