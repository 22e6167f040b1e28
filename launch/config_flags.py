"""Every hyper-parameter as a flag: `--config.losses.discount=0.9`, `--adaptation.ridge=0.1`.

`--config=FILE` and `--adaptation=FILE` read them from JSON files such as an agent's presets.
Flags override files, and files override presets.
"""

from __future__ import annotations

from absl import flags

from agents.adaptation.methods import NAMES
from agents.config import Config
from environments.command_line import SECTION, UsageError, define
from iwpa.fields import Allowed, Leaf, check_values, leaves, read_values
from iwpa.methods.config import AdaptationConfig
from launch.evaluation import SEEDS, SEEDS_ALLOWED
from results.command_line import Path

# --help lists a flag under the command that defines it, not under this module.
flags.disclaim_key_flags()

METHODS = Allowed(str, choices=NAMES, shortest=1, distinct=True)
_CONFIG = leaves(Config)
# These three have shorter flags of their own.
_CONFIG_FLAGS = _CONFIG.keys() - {"agent", "networks.critic", "learner_steps"}
_ADAPTATION = {name: leaf for name, leaf in leaves(AdaptationConfig).items() if name != "episodes"}


def define_path(name: str, default: str | None, help: str, section: str | None = None) -> None:
    """Defines a flag that takes a path on this machine."""
    flags.DEFINE(Path(), name, default, help, module_name=section and f"{SECTION} {section}")


def define_config() -> None:
    """Defines a flag for each of training's hyper-parameters."""
    section = "of training: by default the environment's preset in agents/AGENT/presets"
    text = "JSON file of hyper-parameters such as agents/multitask/presets/reach.json."
    define_path("config", None, text, section)
    _define(
        "config",
        {name: leaf for name, leaf in _CONFIG.items() if name in _CONFIG_FLAGS},
        section,
    )


def define_adaptation() -> None:
    """Defines a flag for each of adaptation's hyper-parameters."""
    section = "of adaptation, for every method: by default each method's own"
    text = 'JSON file of hyper-parameters such as {"ridge": 0.1}.'
    define_path("adaptation", None, text, section)
    _define("adaptation", _ADAPTATION, section)


def define_effort() -> None:
    """Defines the flags that set the number of seeds and episodes, and the snapshot."""
    episodes = leaves(AdaptationConfig)["episodes"].allowed
    define("seeds", SEEDS, "Independent adaptations to each task.", SEEDS_ALLOWED)
    define("episodes", None, "Episodes of adaptation; by default the environment's.", episodes)
    text = "Adapt from the snapshot of this learner step instead of the selected one."
    define("snapshot", None, text, Allowed(int, at_least=0))


def config_values() -> dict[str, object]:
    """Returns the hyper-parameters of training that flags and file set, by dotted name.

    Raises:
        UsageError: If the file cannot be read or holds an invalid value.
    """
    return _given("config", _CONFIG)


def adaptation_values() -> dict[str, object]:
    """Returns the hyper-parameters of adaptation that flags and file set.

    Raises:
        UsageError: If the file cannot be read or holds an invalid value.
    """
    return _given("adaptation", _ADAPTATION)


def _define(prefix: str, known: dict[str, Leaf], section: str) -> None:
    for name, leaf in known.items():
        define(f"{prefix}.{name}", None, leaf.help, leaf.allowed, section)


def _given(prefix: str, known: dict[str, Leaf]) -> dict[str, object]:
    values = flags.FLAGS
    path: str | None = values[prefix].value
    given = {} if path is None else _of_file(path, known)
    for name in known:
        flag = f"{prefix}.{name}"
        if flag in values and values[flag].value is not None:
            given[name] = values[flag].value
    return given


def _of_file(path: str, known: dict[str, Leaf]) -> dict[str, object]:
    given = read_values(path)
    try:
        check_values(known, given)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    return given
