"""Heads over two training tasks, for tests of how hypotheses are weighed."""

from __future__ import annotations

import numpy as np

from iwpa.engine import RewardRange
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.hypothesis_head import HypothesisHead
from iwpa.methods.memory import FeatureTransitions
from iwpa.methods.predictions import Predictions

# Two training tasks over two states and the constant; values differ in scale from rewards.
VALUE_HEADS = np.array([[5.0, 0.0, 0.0], [0.0, 4.0, 0.0]], np.float32)
REWARD_HEADS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], np.float32)
NOISE = 0.2
FIRST, SECOND = np.float32([[1, 0, 1]]), np.float32([[0, 1, 1]])


def hypothesis_head(seen=None, replicas=1, success=0.0, pays=False, places=None, **changes):
    """Returns a head of so many replicas that knows the two tasks."""
    seen = seen or RewardRange(replicas)
    predictions = Predictions(VALUE_HEADS, REWARD_HEADS, NOISE, success, 0.9, pays, places)
    return HypothesisHead(predictions, AdaptationConfig(**changes), seen)


def weigh(head, features, reward, *, ended=False, active=None):
    """Shows a head one step: the features before it, and what it paid."""
    replicas = len(head.followed)
    head.weigh(
        FeatureTransitions(
            np.repeat(features, replicas, axis=0),
            np.zeros((replicas, 2, 3), np.float32),
            np.full(replicas, reward),
            np.full(replicas, 0.0 if ended else 0.9),
            np.ones(replicas, np.float32),
            np.ones(replicas, bool) if active is None else active,
        )
    )
