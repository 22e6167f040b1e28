# Every target sets up what it is missing; `make demo` and `make test` are all that a new user needs.
SHELL := /bin/sh
PYTHON := .venv/bin/python
SETUP := .venv/.installed
BENCHMARKS_PYTHON := .venv-benchmarks/bin/python
BENCHMARKS_SETUP := .venv-benchmarks/.installed
# A ROS user's PYTHONPATH holds another package that is called `launch`.
unexport PYTHONPATH
export UV_COMPILE_BYTECODE := 1
export UV_LINK_MODE := copy

.PHONY: setup demo test lint lock lock-benchmarks benchmarks clean

setup: $(SETUP)

$(SETUP): requirements.lock setup.py tools/uv
	tools/uv venv --quiet --clear --python 3.10 .venv
	tools/uv pip install --quiet --python $(PYTHON) --require-hashes --no-deps -r requirements.lock
	tools/uv pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable .
	touch $(SETUP)

demo: $(SETUP)
	$(PYTHON) -m launch.local_multiprocess --environment=sparse_navigation --run_dir=runs/demo

lint: $(SETUP)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

test: $(SETUP) lint
	$(PYTHON) -m pytest

lock:
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

benchmarks: $(BENCHMARKS_SETUP)
	for name in learner actor adaptation environments; do $(BENCHMARKS_PYTHON) -m benchmarks.$$name; done

# The constraint keeps every pin of requirements.lock: run it after each `make lock`.
lock-benchmarks:
	printf 'dm-launchpad==0.5.2\n' > .overrides.txt
	printf 'dm-control==1.0.50\ngym==0.26.2\njax==0.6.2\njaxlib==0.6.2\n' > .benchmarks.txt
	tools/uv pip compile setup.py .benchmarks.txt --extra development --python-version 3.10 --override .overrides.txt \
		--constraint requirements.lock --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --upgrade \
		--output-file requirements-benchmarks.lock
	rm .overrides.txt .benchmarks.txt

clean:
	rm -rf .venv .venv-benchmarks .tools *.egg-info .pytest_cache .mypy_cache .ruff_cache
