# Every target sets up what it is missing; `make demo` and `make test` are all that a new user needs.
SHELL := /bin/sh
PYTHON := .venv/bin/python
SETUP := .venv/.installed
# A ROS user's PYTHONPATH holds another package that is called `launch`.
unexport PYTHONPATH
export UV_COMPILE_BYTECODE := 1
export UV_LINK_MODE := copy

.PHONY: setup demo test lint lock benchmarks clean

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

clean:
	rm -rf .venv .tools *.egg-info .pytest_cache .mypy_cache .ruff_cache
