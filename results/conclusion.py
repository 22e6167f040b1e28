"""What a run's test says, in one sentence, for who sees such a table for the first time."""

from __future__ import annotations

from results import summary


def conclusion(result: summary.Summary) -> str | None:
    """Returns how the best adapting method compares with the prior, None where nothing adapts.

    The best is the one of the highest mean return over all episodes, so that early gains count.
    """
    adapting = [method for method in result.methods if method.method != "prior"]
    if not adapting:
        return None
    best = max(adapting, key=lambda method: float(method.by_episode.mean()))
    episodes = len(best.by_episode)
    first, last = best.by_episode[0], best.last3_mean
    text = (
        f"In words: on tasks that training never saw, {best.method} returns {first:.1f} in its "
        f"first episode and {last:.1f} in the last three of {episodes}"
    )
    prior = next((method for method in result.methods if method.method == "prior"), None)
    if prior is not None:
        text += f"; without adapting (prior) it would be {prior.last3_mean:.1f}"
    if result.experts_return is not None:
        text += f", and experts return {result.experts_return:.1f} on the tasks that trained them"
    return text + "."
