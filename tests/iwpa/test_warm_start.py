from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from shipped import CASES

import iwpa
from iwpa.experience import Experience
from iwpa.trained import Trained

# Their rewards are chosen for what is tested, whatever training paid.
pytestmark = pytest.mark.filterwarnings("ignore:.*those of training were:UserWarning")


def log_of(count=60):
    """Transitions in the plane, rewarded for being far to the right."""
    stream = np.random.default_rng(5)
    before, actions = stream.normal(size=(count, 2)), stream.uniform(-1, 1, size=(count, 2))
    after = before + 0.1 * actions
    return {
        "observations": before,
        "actions": actions,
        "rewards": after[:, 0],
        "next_observations": after,
    }


@pytest.mark.parametrize("method", ["shared_q_iw", "shared_q_iw_hypotheses"])
def test_a_warm_start_raises_the_probability_of_rewarded_actions(method):
    rightwards = []
    for warm in (False, True):
        agent = iwpa.load("sparse_navigation").adapter(seed=1, method=method)
        if warm:
            agent.warm_start(log_of(400))
            assert agent._engine.method.critic.memory.counts == [400]
        first = np.array([agent.reset([0.0, 0.0]) for _ in range(30)])
        rightwards.append(first[:, 0].mean())
    # Actions are bounded by 1.
    assert rightwards[1] > min(rightwards[0] + 0.1, 0.9)


@pytest.mark.parametrize(("name", "method"), [case for case in CASES if case[1] != "prior"])
def test_a_reward_function_replaces_logged_rewards(name, method):
    log = log_of()
    plain, relabelled = (iwpa.load(name).adapter(seed=1, method=method) for _ in range(2))
    plain.warm_start(log)
    relabelled.warm_start(
        {key: value for key, value in log.items() if key != "rewards"},
        reward=lambda observations, actions, after: after[:, 0],
    )
    np.testing.assert_array_equal(plain.reset([0.0, 0.0]), relabelled.reset([0.0, 0.0]))


def trained_with(experience):
    trained = iwpa.load("sparse_navigation")
    return Trained(dataclasses.replace(trained.snapshot, experience=experience), trained.path)


def test_a_reward_function_without_a_log_relabels_the_training_transitions():
    log = log_of()
    parts = (np.float32(log[name]) for name in ("observations", "actions", "next_observations"))
    shipped = Experience(*parts, np.zeros(60, np.float32), np.zeros(60, np.int32))
    by_log, described = (
        trained_with(shipped).adapter(seed=1, method="shared_q_iw") for _ in range(2)
    )
    by_log.warm_start(log)
    described.warm_start(reward=lambda observations, actions, after: after["position"][:, 0])
    np.testing.assert_allclose(by_log.reset([0.0, 0.0]), described.reset([0.0, 0.0]), atol=1e-6)


def test_a_reward_function_may_return_terminal_states():
    log, ends = log_of(), np.arange(60) % 7 == 0
    by_log, described = (iwpa.load("sparse_navigation").adapter(seed=1) for _ in range(2))
    by_log.warm_start({**log, "terminated": ends})
    described.warm_start(log, reward=lambda observations, actions, after: (after[:, 0], ends))
    memories = [agent._engine.method.critic.memory for agent in (by_log, described)]
    np.testing.assert_array_equal(memories[0].discounts[0, :60] == 0.0, ends)
    np.testing.assert_array_equal(memories[0].discounts, memories[1].discounts)


def test_a_reward_function_without_a_log_or_training_transitions_is_refused():
    agent = trained_with(None).adapter()
    with pytest.raises(ValueError, match="needs a log: this snapshot holds no training trans"):
        agent.warm_start(reward=lambda observations, actions, after: after["position"][:, 0])
    with pytest.raises(ValueError, match="needs a log or a reward function"):
        agent.warm_start()


def test_an_invalid_log_is_refused_with_the_invalid_entry():
    agent, log = iwpa.load("sparse_navigation").adapter(), log_of(4)
    for change, message in [
        ({"actions": np.zeros((4, 3))}, "actions have shape \\(4, 3\\)"),
        ({"rewards": np.zeros(3)}, "rewards have shape \\(3,\\): there are 4 transitions"),
        ({"rewards": np.array([0, 0, np.nan, 0])}, "log's rewards holds nan \\(row 2, number 0\\)"),
        (
            {"next_observations": np.full((4, 2), np.inf)},
            "log's next_observations's 'position' holds inf \\(row 0, number 0\\)",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            agent.warm_start({**log, **change})
    with pytest.raises(ValueError, match="The log lacks 'rewards'"):
        agent.warm_start({key: value for key, value in log.items() if key != "rewards"})
    with pytest.raises(ValueError, match="PriorMethod cannot learn from logged transitions"):
        iwpa.load("sparse_navigation").adapter(method="prior").warm_start(log)
    assert agent.diagnostics()["episode"] == 0
    agent.reset([0.0, 0.0])
    with pytest.raises(RuntimeError, match="between episodes"):
        agent.warm_start(log)


def paid(result):
    return lambda observations, actions, after: result


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (5, "reward takes a function, not 5"),
        (paid((1.0, 2.0, 3.0)), "returned a tuple of 3: it must return rewards"),
        (paid(np.zeros((4, 1))), "reward function's rewards have shape \\(4, 1\\): there are 4"),
        (paid(None), "reward function's rewards have shape \\(\\)"),
        (paid([0.0, np.nan, 0.0, 0.0]), "reward function's rewards holds nan"),
        (paid(np.full(4, 1e20)), "reward function's rewards holds 1e\\+20"),
        (paid((np.zeros(4), np.full(4, 0.5))), "terminated holds 0.5: all values must be 0 or 1"),
    ],
)
def test_an_invalid_reward_function_is_refused_and_leaves_the_adapter_unchanged(reward, message):
    agent, twin = (iwpa.load("sparse_navigation").adapter(seed=1) for _ in range(2))
    with pytest.raises(ValueError, match=message):
        agent.warm_start(log_of(4), reward=reward)
    np.testing.assert_array_equal(agent.reset([0.0, 0.0]), twin.reset([0.0, 0.0]))


def test_a_log_is_blamed_for_its_own_terminal_states():
    log = {**log_of(4), "terminated": np.full(4, 0.5)}
    with pytest.raises(ValueError, match=r"The log's terminated holds 0\.5"):
        iwpa.load("sparse_navigation").adapter().warm_start(log, reward=paid(np.zeros(4)))


def test_a_reward_function_that_modifies_its_arguments_changes_nothing_else():
    trained = iwpa.load("sparse_navigation")
    before = {name: array.copy() for name, array in trained.snapshot.experience.arrays().items()}

    def careless(observations, actions, after):
        for array in (observations["position"], actions, after["position"]):
            array += 1.0
        return after["position"][:, 0]

    trained.adapter().warm_start(reward=careless)
    for name, array in trained.snapshot.experience.arrays().items():
        np.testing.assert_array_equal(array, before[name])
