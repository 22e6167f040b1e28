"""Packages and direct dependencies; `make lock` freezes all of them into requirements.lock.

A plain `pip install .` cannot resolve them: dm-acme 0.4.0 requires dm-launchpad 0.5.0, but we rely
on bug fixes in Launchpad 0.5.2. `make setup` installs the frozen set.
"""

import setuptools

RUNTIME = [
    "dm-acme==0.4.0",  # environment specs, counting, and base classes familiar to RL researchers
    "dm-reverb==0.7.2",  # replay tables with a rate limiter and checkpoints
    "dm-launchpad==0.5.2",  # the program of processes, their addresses and remote calls
    "tensorflow-cpu==2.8.4",  # gradients, and compilation of the learner's step
    "dm-sonnet==2.0.2",  # network modules and the Adam optimiser
    "trfl==1.2.0",  # Retrace
    "tensorflow-probability==0.16.0",  # imported by trfl and acme, which do not declare it
    "dm-env==1.6",  # the environment interface
    "dm-control==1.0.50",  # bodies, arm, arenas and props, and MJCF to compose models
    "mujoco",  # the physics engine, stepped directly
    "imageio>=2.30",  # videos
    "imageio-ffmpeg>=0.4",  # video encoder, without a system package
    "pillow",  # labels in videos
    "numpy==1.26.4",  # the actors' policies and the adaptation engine
    # Launchpad sends objects to nodes with it; the conformance check tries it on a distribution.
    "cloudpickle",
    "absl-py>=1.0",  # flags, as in other Launchpad programs
    "psutil>=5.9",  # ends the whole process tree of a node
    "safetensors>=0.4",  # weights on disk that cannot execute code
    "plotly>=6",  # the interactive report
    "dash>=4",  # the dashboard: a live page of plotly figures with locally served assets
    "matplotlib>=3.8",  # the same figures as PNG and SVG
    "protobuf==3.19.6",  # the newest version that TensorFlow 2.8 accepts
    "wrapt<1.15",  # newer versions break TensorFlow 2.8's module wrappers
    "setuptools<81",  # tensorboard 2.8 imports pkg_resources at run time
]

DEVELOPMENT = [
    "pytest",  # runs the tests
    "pytest-timeout",  # no test may hang
    "hypothesis",  # draws cases for property tests and shrinks failing ones
    "ruff",  # linter and formatter
    "mypy",  # type checker
    "import-linter",  # checks the direction of imports
    "rliable",  # reference for our statistics
    "selenium",  # drives a real Chromium through the dashboard
    "gymnasium",  # reference for half-cheetah's dynamics; tests the Gymnasium adapter
]

setuptools.setup(
    name="iwpa-laboratory",  # `iwpa` alone is iwpa/pyproject.toml's
    version="0.1.0",
    description=(
        "Learn a new control task in a handful of episodes: "
        "importance weighted policy learning and adaptation"
    ),
    license="Apache-2.0",
    python_requires="==3.10.*",
    packages=[
        "iwpa",
        "iwpa.methods",
        "environments",
        "replay",
        "agents",
        "agents.adaptation",
        "agents.multitask",
        "agents.pearl",
        "agents.recurrent",
        "agents.rl2",
        "launch",
        "launch.nodes",
        "launch.runtime",
        "launch.stages",
        "results",
        "results.figures",
        "dashboard",
    ],
    package_data={
        "iwpa": [
            "py.typed",
            "presets/*.json",
            "data/*/*.json",
            "data/*/results/events/*",
            "data/*/snapshots/*/*",
        ],
        "agents": ["*/presets/*.json"],
        "environments": ["assets/*.xml"],
        "launch": ["clusters/*"],
        "dashboard": ["assets/*"],
    },
    install_requires=RUNTIME,
    extras_require={"development": DEVELOPMENT},
)
