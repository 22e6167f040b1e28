"""Packages and direct dependencies; `make lock` freezes all of them into requirements.lock.

A plain `pip install .` cannot resolve: dm-acme 0.4.0 asks for dm-launchpad 0.5.0 while Launchpad's bug fixes that we rely on are in 0.5.2.
`make setup` installs the frozen set.
"""

import setuptools

RUNTIME = [
    "dm-acme==0.4.0",  # environment specs, counting and the base classes that RL researchers know
    "dm-reverb==0.7.2",  # replay tables, rate limiter, checkpoints of the data
    "dm-launchpad==0.5.2",  # the program of processes, their addresses and calls between them
    "tensorflow-cpu==2.8.4",  # gradients and compilation of the learner's step
    "dm-sonnet==2.0.2",  # network modules and the Adam optimiser
    "trfl==1.2.0",  # Retrace
    "tensorflow-probability==0.16.0",  # imported by trfl and acme, which do not declare it
    "dm-env==1.6",  # the interface of an environment
    "dm-control==1.0.50",  # bodies, arm, arenas and props, and the language that their models are composed in
    "mujoco",  # the physics, stepped directly
    "imageio>=2.30",  # videos
    "imageio-ffmpeg>=0.4",  # their encoder, without a system package
    "pillow",  # labels on their pictures
    "numpy==1.26.4",  # the actors' policies and the adaptation engine
    "cloudpickle",  # how Launchpad sends objects to nodes; the conformance check tries it on a user's distribution
    "absl-py>=1.0",  # flags, the habit of Launchpad's users
    "psutil>=5.9",  # whole process trees end with their node
    "safetensors>=0.4",  # weights on disk that cannot execute anything
    "plotly>=6",  # the interactive report
    "dash>=4",  # the dashboard: a page of plotly's figures that stays up to date, its assets served locally
    "matplotlib>=3.8",  # the same figures as PNG and SVG
    "protobuf==3.19.6",  # the newest that TensorFlow 2.8 accepts
    "wrapt<1.15",  # newer ones break TensorFlow 2.8's module wrappers
    "setuptools<81",  # tensorboard 2.8 imports pkg_resources at run time
]

DEVELOPMENT = [
    "pytest",  # runs the tests
    "pytest-timeout",  # no test may hang
    "hypothesis",  # draws the cases of property tests, and makes one that fails small
    "ruff",  # lint and format
    "mypy",  # types
    "import-linter",  # the direction of imports
    "rliable",  # the oracle of our statistics
    "selenium",  # drives a real Chromium through the dashboard
    "gymnasium",  # the oracle of half-cheetah's dynamics, and what the adapter for a user's Gymnasium family is tested with
]

setuptools.setup(
    name="iwpa-laboratory",  # `iwpa` alone is iwpa/pyproject.toml's
    version="0.1.0",
    description="Learn a new control task in a handful of episodes: importance weighted policy learning and adaptation",
    license="Apache-2.0",
    python_requires="==3.10.*",
    packages=[
        "iwpa",
        "iwpa.methods",
        "environments",
        "replay",
        "agents",
        "agents.adaptation",
        "agents.presets",
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
        "agents.presets": ["*/*.json"],
        "environments": ["assets/*.xml"],
        "launch": ["clusters/*"],
        "dashboard": ["assets/*"],
    },
    install_requires=RUNTIME,
    extras_require={"development": DEVELOPMENT},
)
