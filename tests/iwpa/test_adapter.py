from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from shipped import CASES

import iwpa
from iwpa.engine import adapt
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.memory import FeatureMemory, FeatureTransitions
from iwpa.methods.registry import METHODS, default_adaptation
from iwpa.methods.start import Start
from iwpa.randomness import Replica
from iwpa.task import Task

EPISODE_STEPS = 20

# Their rewards are chosen for what is tested, whatever training paid.
pytestmark = pytest.mark.filterwarnings("ignore:.*those of training were:UserWarning")


class Field:
    """Navigation with reward -|position|^2, for a user's loop and for the engine; float32."""

    def __init__(self):
        self.observations = np.zeros((1, 2), np.float32)
        self._reason = None
        self.executed = []

    def reset(self, row, task, seed):
        self._steps = 0
        self.observations = np.random.default_rng(seed).normal(size=(1, 2)).astype(np.float32)
        return ()

    def step(self, actions, active=None):
        self.executed.append(np.clip(actions[0], -1.0, 1.0))
        self._steps += 1
        self.observations = self.observations + np.float32(0.1) * np.clip(actions, -1.0, 1.0)
        rewards = -np.square(self.observations).sum(axis=1)
        last = np.array([self._steps == EPISODE_STEPS])
        return Result(rewards, np.ones(1, np.float32), last, np.zeros(1, bool))

    def fault(self, row):
        return None


class Result:
    def __init__(self, rewards, discounts, last, faulted):
        self.rewards, self.discounts, self.last, self.faulted = rewards, discounts, last, faulted


def own_loop(agent, episodes, first=1, seed=3):
    """Returns an adapter's actions in a user's loop over the field."""
    field, replica, actions = Field(), Replica("test", Task(0, ()), seed), []
    for episode in range(first, first + episodes):
        field.reset(0, replica.task, replica.reset_seed(0, episode))
        action = agent.reset(field.observations[0])
        while action is not None:
            actions.append(action)
            result = field.step(action[None])
            action = agent.step(
                result.rewards[0], field.observations[0], truncated=bool(result.last[0])
            )
    return np.array(actions)


@pytest.mark.parametrize(("name", "method"), CASES)
def test_a_users_loop_acts_as_the_engines_replica_of_the_same_seed(name, method):
    trained, replica = iwpa.load(name), Replica("test", Task(0, ()), 3)
    own = own_loop(trained.adapter(seed=3, method=method), 3)
    config = default_adaptation(method, 3, "sparse_navigation")
    made = METHODS.make(method, Start(trained.snapshot, config, [replica], EPISODE_STEPS, 0))
    field, scale = Field(), trained.snapshot.reward_scale
    records = adapt(
        made,
        field,
        [replica],
        episodes=3,
        episode_steps=EPISODE_STEPS,
        worst_reward=0.0,
        reward_scale=scale,
        run_seed=0,
    )
    assert len(list(records)) == 3
    np.testing.assert_array_equal(own, field.executed)


@pytest.mark.parametrize(("name", "method"), CASES)
@pytest.mark.parametrize("within_episode", [False, True])
def test_a_restored_adapter_continues_bit_for_bit(name, method, within_episode, tmp_path):
    agent = iwpa.load(name).adapter(seed=1, method=method)
    own_loop(agent, 2)
    observations = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    if within_episode:
        agent.reset(observations[0])
        for observation in observations[:5]:
            agent.step(-1.0, observation)
    agent.save(tmp_path / "saved")
    twin = iwpa.restore(tmp_path / "saved")
    if within_episode:
        for reward, observation in enumerate(observations):
            np.testing.assert_array_equal(
                agent.step(reward, observation), twin.step(reward, observation)
            )
    np.testing.assert_array_equal(own_loop(agent, 2, first=3), own_loop(twin, 2, first=3))
    assert agent.diagnostics() == twin.diagnostics()


def test_an_adapter_of_a_later_version_is_refused_with_a_remedy(tmp_path):
    iwpa.load("sparse_navigation").adapter().save(tmp_path / "saved")
    manifest = tmp_path / "saved" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": 4', '"version": 7'))
    with pytest.raises(
        iwpa.DamagedError,
        match="version 7, but this program reads 4: use the release of iwpa that wrote it",
    ):
        iwpa.restore(tmp_path / "saved")


def test_what_is_no_saved_adapter_is_refused_as_such(tmp_path):
    trained = iwpa.load("sparse_navigation")
    with pytest.raises(iwpa.DamagedError, match=r"is no saved adapter: Adapter\.save writes them"):
        iwpa.restore(trained.path)
    trained.adapter().save(tmp_path / "saved")
    (manifest := tmp_path / "saved/manifest.json").write_text(
        manifest.read_text().replace('"seed": 0', '"seed": -1')
    )
    with pytest.raises(iwpa.DamagedError, match="incomplete or altered: seed takes a whole number"):
        iwpa.restore(tmp_path / "saved")


def test_a_state_that_lacks_an_array_is_refused(tmp_path):
    agent = iwpa.load("sparse_navigation").adapter()
    agent.reset([0.0, 0.0])
    state = agent._engine.state()
    lacking = next(name for name in state if name.endswith("posterior"))
    del state[lacking]
    with pytest.raises(ValueError, match="The saved state lacks posterior"):
        agent._engine.restore(state)


WRONG = [
    ("observation", (-1.0, [0.0, math.nan]), "observation's 'position' holds nan \\(number 1\\)"),
    ("observation", (-1.0, [0.0, 1e39]), "holds inf"),
    (
        "observation",
        (-1.0, [0.0, 0.0, 0.0]),
        "shape \\(3,\\), but that of sparse_navigation has \\(2,\\): position \\[2\\]",
    ),
    (
        "observation",
        (-1.0, {"where": [0.0, 0.0]}),
        "lacks 'position': sparse_navigation has position \\[2\\]",
    ),
    ("observation", (-1.0, {"position": [0.0]}), "'position' has shape \\(1,\\)"),
    ("observation", (-1.0, "left"), "not an array of numbers"),
    ("reward", (math.inf, [0.0, 0.0]), "reward is inf: it must be one finite number"),
    ("reward", ([1.0, 2.0], [0.0, 0.0]), "reward is \\[1.0, 2.0\\]"),
    ("reward", (None, [0.0, 0.0]), "reward is None"),
    ("reward", (-1e20, [0.0, 0.0]), "reward holds -1e\\+20: beyond 1e\\+15, squares overflow"),
]


@pytest.mark.parametrize(("what", "given", "message"), WRONG)
def test_an_invalid_observation_or_reward_is_named_and_leaves_the_adapter_unchanged(
    what, given, message
):
    agent, twin = (iwpa.load("sparse_navigation").adapter(seed=1) for _ in range(2))
    for one in (agent, twin):
        one.reset([0.1, 0.2])
        one.step(-1.0, [0.2, 0.2])
    with pytest.raises(ValueError, match=message):
        agent.step(*given)
    if what == "observation":
        with pytest.raises(ValueError, match=message):
            agent.reset(given[1])
    np.testing.assert_array_equal(agent.step(-2.0, [0.3, 0.2]), twin.step(-2.0, [0.3, 0.2]))


def test_a_step_before_the_first_reset_or_after_the_end_is_refused():
    agent = iwpa.load("sparse_navigation").adapter()
    with pytest.raises(RuntimeError, match=r"step\(\) was called before the first reset"):
        agent.step(0.0, [0.0, 0.0])
    agent.reset([0.0, 0.0])
    assert agent.step(0.0, [0.0, 0.0], terminated=True) is None
    with pytest.raises(RuntimeError, match=r"after the episode's end: call reset\(observation\)"):
        agent.step(0.0, [0.0, 0.0])


def test_observations_by_name_and_flat_observations_give_the_same_action():
    by_name, flat = (iwpa.load("half_cheetah_velocity").adapter(seed=1) for _ in range(2))
    observation = {
        "velocity": np.arange(9.0),
        "torso": np.array([5.0, 0.0, 0.7]),
        "joints": -np.arange(8.0),
        "hidden": np.ones(3),
    }
    expected = flat.reset(
        np.concatenate([observation[key] for key in ("joints", "torso", "velocity")])
    )
    np.testing.assert_array_equal(by_name.reset(observation), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "iw"}, "Unknown method 'iw': choose from prior"),
        ({"method": "pearl"}, "method pearl needs a run of --agent=pearl"),
        ({"adaptation": {"ridge": -1}}, "ridge takes a number"),
        ({"adaptation": {"riches": 1}}, "no hyper-parameter 'riches'"),
        (
            {"method": "shared_q_iw", "adaptation": {"whole_critic": True}},
            "whole_critic trains networks",
        ),
        ({"background": "process"}, "background takes False, 'thread' or 'slices', not 'process'"),
        ({"memory": 20.5}, "memory takes a whole number, .* not 20.5"),
        ({"seed": -1}, "seed takes a whole number from 0 on, not -1"),
        ({"seed": "x"}, "seed takes a whole number from 0 on, not 'x'"),
        ({"adaptation": "ridge"}, "adaptation takes a mapping .* not 'ridge'"),
        (
            {"memory": 3},
            "memory takes a whole number, at least the 20 transitions of an episode, not 3",
        ),
    ],
)
def test_invalid_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        iwpa.load("sparse_navigation").adapter(**options)


def test_an_episode_longer_than_the_time_limit_continues_as_a_new_one():
    endless, cut = (
        iwpa.load("sparse_navigation").adapter(seed=1, method="shared_q_iw") for _ in range(2)
    )
    observations = np.random.default_rng(0).normal(size=(31, 2))
    actions = [endless.reset(observations[0])] + [
        endless.step(-float(k), observations[k]) for k in range(1, 31)
    ]
    expected = [cut.reset(observations[0])] + [
        cut.step(-float(k), observations[k]) for k in range(1, 20)
    ]
    cut.step(-20.0, observations[20], truncated=True)
    expected += [cut.reset(observations[20])] + [
        cut.step(-float(k), observations[k]) for k in range(21, 31)
    ]
    np.testing.assert_array_equal(actions, expected)


@pytest.mark.parametrize("background", ["thread", "slices"])
@pytest.mark.parametrize("method", ["shared_q_iw", "shared_q_iw_hypotheses"])
def test_background_learning_has_used_all_transitions_once_settled(method, background):
    agent = iwpa.load("sparse_navigation").adapter(seed=1, method=method, background=background)
    own_loop(agent, 6)
    agent._engine.method.settle()
    head, transitions = agent._engine.method.critic.head, 6 * EPISODE_STEPS
    assert agent.diagnostics()["transitions"] == transitions
    assert np.isfinite(head.weights).all()
    if method == "shared_q_iw":
        assert head._updates[0] >= 6 * AdaptationConfig().updates_per_episode
    else:
        assert head._summed[0] == transitions


def test_slices_are_deterministic():
    actions = [
        own_loop(
            iwpa.load("sparse_navigation").adapter(seed=1, background="slices"),
            4,
        )
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*actions)


def test_an_exception_in_the_learning_thread_is_raised_in_the_loop():
    agent = iwpa.load("sparse_navigation").adapter(background="thread")
    agent._engine.method.critic.head._solve = None
    with pytest.raises(TypeError):
        own_loop(agent, 2)


def test_the_memory_keeps_only_the_newest_transitions():
    agent = iwpa.load("sparse_navigation").adapter(memory=50)
    own_loop(agent, 2)
    sizes = {name: array.nbytes for name, array in agent._engine.state().items()}
    own_loop(agent, 8)
    kept, memory = agent.diagnostics()["transitions"], agent._engine.method.critic.memory
    assert (kept, memory.counts[0]) == (50, 200)
    assert {
        name: array.nbytes for name, array in agent._engine.state().items() if "memory" not in name
    } == {name: size for name, size in sizes.items() if "memory" not in name}
    # The closed form uses only the transitions kept.
    head = agent._engine.method.critic.head
    features = memory.features[0].astype(np.float64)
    np.testing.assert_allclose(
        head._grams[0], head._penalty + features.T @ features, rtol=1e-6, atol=1e-8
    )


def test_transitions_that_would_overwrite_others_wait_while_the_memory_is_held():
    memory = FeatureMemory(1, 1, 2, 3)

    def add(value):
        row = np.full((1, 2), value, np.float32)
        memory.append(FeatureTransitions(row, row[:, None], *3 * (row[:, 0],), np.ones(1, bool)))

    for value in range(3):
        add(value)
    with memory.held() as kept:
        writer = threading.Thread(target=lambda: [add(value) for value in (3, 4)])
        writer.start()
        writer.join()
        assert kept == [3]
        np.testing.assert_array_equal(memory.rewards[0], [0, 1, 2])
    np.testing.assert_array_equal(memory.rewards[0], [3, 4, 2])
    assert memory.counts == [5]
    np.testing.assert_array_equal(memory.since(0, 3), [0, 1])


def test_diagnostics_report_the_present_state():
    agent = iwpa.load("half_cheetah_velocity").adapter(seed=1)
    observation = np.zeros(20)
    agent.reset(observation)
    for step in range(10):
        agent.step(-float(step), observation)
    found = agent.diagnostics()
    assert (found["episode"], found["step"], found["return"], found["transitions"]) == (
        1,
        10,
        -45.0,
        10,
    )
    assert found["temperature"] > 0
    assert 0 < found["kl"] <= 3.01
    assert found["value"] < 0
    assert len(found["hypotheses"]) == 5
    assert sum(found["hypotheses"].values()) <= 1.0 + 1e-6
