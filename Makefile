# Every target sets up what it is missing; `make help` lists them.
SHELL := /bin/sh
PYTHON := .venv/bin/python
SETUP := .venv/.installed
BENCHMARKS_PYTHON := .venv-benchmarks/bin/python
BENCHMARKS_SETUP := .venv-benchmarks/.installed
CLUSTER_PYTHON := .venv-cluster/bin/python
CLUSTER_SETUP := .venv-cluster/.installed
GPU_SETUP := .venv/.gpu-installed
DOCS_PYTHON := .venv-docs/bin/python
DOCS_SETUP := .venv-docs/.installed
# A ROS user's PYTHONPATH holds another package that is called `launch`.
unexport PYTHONPATH
export UV_COMPILE_BYTECODE := 1
export UV_LINK_MODE := copy

.PHONY: help setup taste demo dashboard reproduce test pythons test-cluster-faults fuzz soak lint \
	docs docs-serve lock lock-benchmarks lock-cluster lock-docs lock-gpu benchmarks cluster-env \
	gpu-learner clean
.DEFAULT_GOAL := help

help: ## this list
	@echo 'First: make taste (a minute), make demo (a quarter of an hour). All targets:'
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r target text; \
		do printf '  make %-20s %s\n' "$$target" "$$text"; done

setup: $(SETUP) ## everything that the other targets need, into .venv (2 GB, some minutes)

$(SETUP): requirements.lock setup.py tools/uv
	@echo 'Setting up .venv: 2 GB, some minutes, once.'
	@tools/uv venv --quiet --clear --python 3.10 .venv
	@tools/uv pip install --quiet --python $(PYTHON) --require-hashes --no-deps -r requirements.lock
	@tools/uv pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable .
	@touch $(SETUP)

# Of another speed, m/s: make taste SPEED=2.5
SPEED ?= 1
taste: $(SETUP) ## no training: a shipped snapshot adapts to a half-cheetah task; a curve, a video
	@$(PYTHON) -m launch.taste --speed=$(SPEED)

demo: $(SETUP) ## train on 100 tasks, adapt to 30 held-out ones, print the table (10 to 15 minutes)
	@echo 'To watch it while it trains, in another terminal: make dashboard'
	@$(PYTHON) -m launch.local_multiprocess --environment=sparse_navigation --run_dir=runs/demo
	@echo 'The same as a live page, each task and episode to look into: make dashboard'

# Of other runs: make dashboard RUNS='runs/a runs/b'
RUNS ?= runs/demo
dashboard: $(SETUP) ## the live page of a run, on 127.0.0.1
	$(PYTHON) -m dashboard $(foreach run,$(RUNS),--run_dir=$(run))

# All methods on an environment from nothing, resumably: make reproduce ENVIRONMENT=half_cheetah_velocity TRAINING_SEEDS=0,1,2
# With less time: make reproduce … FLAGS='--training_share=0.4 --seeds=1'
ENVIRONMENT ?= sparse_navigation
TRAINING_SEEDS ?= 0
reproduce: $(SETUP) ## all methods on an environment from nothing, resumably (hours)
	$(PYTHON) -m launch.reproduce --environment=$(ENVIRONMENT) --training_seeds=$(TRAINING_SEEDS) $(FLAGS)

lint: $(SETUP) ## style, types, the direction of imports
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

test: $(SETUP) $(CLUSTER_SETUP) lint ## lint and the whole test suite
	$(PYTHON) -m pytest -m "not cluster_faults"

# `iwpa` alone, on every Python from 3.10 to 3.13 that is found; fewer than two are a failure.
pythons: ## `iwpa` alone on every Python from 3.10 to 3.13 that is found
	python3 tools/pythons.py

# Simulated hosts need root and a minute each. Where a busy machine made Ray itself give up, what failed gets a second chance.
test-cluster-faults: $(SETUP) $(CLUSTER_SETUP) ## tests on simulated hosts, as root
	$(PYTHON) -m pytest -m cluster_faults || $(PYTHON) -m pytest -m cluster_faults --last-failed

# Every file reader with damaged files, tens of minutes; make fuzz INPUTS=20000 SEED=3 for less, or for others.
INPUTS ?= 1000000
SEED ?= 0
fuzz: $(SETUP) ## every file reader with damaged files (tens of minutes)
	PYTHONPATH=.:tests/support $(PYTHON) -W ignore tests/fuzz.py --inputs=$(INPUTS) --seed=$(SEED)

# A training in which a node is killed every 20 s, and whether all counts balance in the end: make soak MINUTES=10
MINUTES ?= 60
soak: $(SETUP) ## a training in which nodes are killed for an hour
	PYTHONPATH=.:tests/support $(PYTHON) tests/soak.py --minutes=$(MINUTES)

lock: ## requirements.lock anew; then the other locks
	printf 'dm-launchpad==0.5.2\n' > .overrides.txt
	tools/uv pip compile setup.py --extra development --python-version 3.10 --override .overrides.txt \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --upgrade --output-file requirements.lock
	rm .overrides.txt

# Acme's agent imports jax and gym, which the project itself does without: everything of requirements.lock, and these.
$(BENCHMARKS_SETUP): requirements-benchmarks.lock setup.py tools/uv
	tools/uv venv --quiet --clear --python 3.10 .venv-benchmarks
	tools/uv pip install --quiet --python $(BENCHMARKS_PYTHON) --require-hashes --no-deps -r requirements-benchmarks.lock
	tools/uv pip install --quiet --python $(BENCHMARKS_PYTHON) --no-deps --no-build-isolation --editable .
	touch $(BENCHMARKS_SETUP)

benchmarks: $(BENCHMARKS_SETUP) ## speed, against Acme's agent among others
	for name in learner actor adaptation environments dashboard; do $(BENCHMARKS_PYTHON) -m benchmarks.$$name; done

# Ray and what it needs, on every host of a cluster: one Python for both environments, because Ray asks for the same on all hosts.
cluster-env: $(CLUSTER_SETUP) ## a cluster host's second environment, with Ray

$(CLUSTER_SETUP): requirements-cluster.lock tools/uv
	tools/uv venv --quiet --clear --python 3.10 .venv-cluster
	tools/uv pip install --quiet --python $(CLUSTER_PYTHON) --require-hashes --no-deps -r requirements-cluster.lock
	touch $(CLUSTER_SETUP)

lock-cluster: ## requirements-cluster.lock anew
	tools/uv pip compile requirements-cluster.in --python-version 3.10 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --upgrade --output-file requirements-cluster.lock

# Offline once .venv-docs is there: no fonts, scripts or versions are fetched.
docs: $(DOCS_SETUP) ## the documentation as a site, into site/
	@NO_MKDOCS_2_WARNING=1 $(DOCS_PYTHON) -m mkdocs build --strict --quiet
	@echo 'site/index.html is the documentation.'

docs-serve: $(DOCS_SETUP) ## the site on 127.0.0.1:8000, anew whenever a page is saved
	@NO_MKDOCS_2_WARNING=1 $(DOCS_PYTHON) -m mkdocs serve --dev-addr 127.0.0.1:8000

$(DOCS_SETUP): requirements-docs.lock tools/uv
	@tools/uv venv --quiet --clear --python 3.10 .venv-docs
	@tools/uv pip install --quiet --python $(DOCS_PYTHON) --require-hashes --no-deps \
		-r requirements-docs.lock
	@touch $(DOCS_SETUP)

lock-docs: ## requirements-docs.lock anew
	tools/uv pip compile requirements-docs.in --python-version 3.10 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --quiet --upgrade \
		--output-file requirements-docs.lock

# The same TensorFlow with CUDA, in place of the one without, on a host with an NVIDIA GPU.
gpu-learner: $(GPU_SETUP) ## TensorFlow with CUDA, in place of the one without

$(GPU_SETUP): requirements-gpu.lock $(SETUP)
	tools/uv pip uninstall --quiet --python $(PYTHON) tensorflow-cpu
	tools/uv pip install --quiet --python $(PYTHON) --require-hashes --no-deps -r requirements-gpu.lock
	touch $(GPU_SETUP)

lock-gpu: ## requirements-gpu.lock anew
	tools/uv pip compile requirements-gpu.in --no-deps --python-version 3.10 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --upgrade --output-file requirements-gpu.lock

# The constraint keeps every pin of requirements.lock: run it after each `make lock`.
lock-benchmarks: ## requirements-benchmarks.lock anew
	printf 'dm-launchpad==0.5.2\n' > .overrides.txt
	printf 'dm-control==1.0.50\ngym==0.26.2\njax==0.6.2\njaxlib==0.6.2\n' > .benchmarks.txt
	tools/uv pip compile setup.py .benchmarks.txt --extra development --python-version 3.10 --override .overrides.txt \
		--constraint requirements.lock --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --upgrade \
		--output-file requirements-benchmarks.lock
	rm .overrides.txt .benchmarks.txt

clean: ## removes everything that these targets installed
	rm -rf .venv .venv-python3.* .venv-benchmarks .venv-cluster .venv-docs .tools site *.egg-info .pytest_cache .mypy_cache .ruff_cache
