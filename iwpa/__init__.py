"""Learn a new control task in a handful of episodes, from a trained snapshot, with numpy alone.

adapter = iwpa.load("half_cheetah_velocity").adapter(seed=0)
action = adapter.reset(observation)
action = adapter.step(reward, observation, terminated=False, truncated=False)
"""

from iwpa.adapter import Adapter, restore
from iwpa.durable import DamagedError
from iwpa.environment_loop import Adaptation, adapt
from iwpa.methods.registry import METHODS
from iwpa.trained import Trained, load, names

__all__ = [
    "METHODS",
    "Adaptation",
    "Adapter",
    "DamagedError",
    "Trained",
    "adapt",
    "load",
    "names",
    "restore",
]
