# The developer's commands. Each is one line: the work is done by scripts/ and embedded/.
# Variables: CLUSTER (dev), NODES (1), SECONDS (600); CONTEXT (a kubeconfig context to use instead of an embedded cluster), with REGISTRY and TAG.

PYTHON := .venv/bin/python
CLUSTER ?= dev
CONTEXT ?=
REGISTRY ?=
TAG ?= latest
NODES ?= 1
SECONDS ?= 600

.DEFAULT_GOAL := help
.PHONY: help venv tools tools-list up down env lint unit test sanitize fuzz soak memory bench bench-propagation bench-enforcement bench-scale bench-webhooks spec check lock clean-cache

help:
	@awk '/^[a-z-]+:.*## / { name = $$1; sub(/^.*## /, ""); printf "make %-18s %s\n", name, $$0 }' $(MAKEFILE_LIST) | sed 's/: / /'

venv:
	@scripts/venv.sh

tools: venv ## build or fetch every pinned binary into the cache
	@$(PYTHON) -m embedded.tools --ensure

tools-list: venv ## name, version, state and source of every binary
	@$(PYTHON) -m embedded.tools --list

up: venv ## a running mesh: tools, cluster, images, pulumi up, sample, meshctl check
	@$(PYTHON) -m embedded.up --cluster $(CLUSTER) --nodes $(NODES) $(if $(CONTEXT),--context $(CONTEXT) --registry "$(REGISTRY)" --tag $(TAG))

down: venv ## remove what `make up` made; the cache stays
	@$(PYTHON) -m embedded.down --cluster $(CLUSTER)

env: venv ## shell lines for pulumi, kubectl and meshctl: eval "$$(make -s env)"
	@$(PYTHON) -m embedded.tools --environment $(CLUSTER)

check: venv ## meshctl check on the cluster of `make up`
	@eval "$$($(PYTHON) -m embedded.tools --environment $(CLUSTER))" && meshctl check

lint: venv ## ruff, mypy, import-linter
	@$(PYTHON) -m scripts.test lint

unit: venv ## tests that need neither root nor tools
	@$(PYTHON) -m scripts.test unit

test: venv ## everything that CI runs
	@$(PYTHON) -m scripts.test

sanitize: venv ## the tests of the data plane with AddressSanitizer and UndefinedBehaviorSanitizer
	@$(PYTHON) -m scripts.test sanitize

fuzz: venv ## fuzz every decoder of the C module, SECONDS each
	@$(PYTHON) -m scripts.fuzz --seconds $(SECONDS)

soak: venv ## the long runs
	@$(PYTHON) -m scripts.test soak

memory: venv ## what each process of the running mesh holds (WATCH="5 15": and how it grew between these minutes)
	@$(PYTHON) -m scripts.memory --cluster $(CLUSTER) $(if $(WATCH),--watch $(WATCH))

bench: venv ## what a request costs through two sidecars, beside Envoy and plain NGINX (ONLY=http1,grpc,tcp,connections JSON=file)
	@$(PYTHON) -m benchmarks.dataplane $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json $(JSON))

bench-propagation: venv ## time from a change to the last sidecar of the running mesh, or of simulated ones (SUBSCRIBERS="20 200")
	@$(if $(SUBSCRIBERS),$(PYTHON) -m benchmarks.controlplane.simulated $(SUBSCRIBERS),$(PYTHON) -m benchmarks.controlplane.propagation --cluster $(CLUSTER))

bench-enforcement: venv ## time from a policy to the last of 20 real sidecars that enforces it
	@$(PYTHON) -m benchmarks.controlplane.enforcement --cluster $(CLUSTER)

bench-webhooks: venv ## what the webhooks take for an answer at 50 questions a second, and their memory over 10,000
	@$(PYTHON) -m benchmarks.controlplane.webhooks

bench-scale: venv ## what the controller needs for 1,000 Services and 10,000 pods without kubelets (ARGUMENTS="--seconds 20 ...")
	@$(PYTHON) -m embedded.tools --ensure kwok
	@$(PYTHON) -m benchmarks.controlplane.scale $(ARGUMENTS)

spec: venv ## the clauses of the contract and the tests that prove them
	@$(PYTHON) -m scripts.spec

lock: venv ## write the hash-locked requirements again (UPGRADE=1 for newer versions)
	@$(PYTHON) -m scripts.lock $(if $(UPGRADE),--upgrade)

clean-cache: venv ## delete everything that can be made again
	@$(PYTHON) -m scripts.clean_cache
