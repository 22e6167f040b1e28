"""The result of a run's test in one sentence, for first-time readers of the table."""

from __future__ import annotations

from results import summary


def conclusion(result: summary.Summary) -> str | None:
    """Returns how the best adapting method compares with the prior; None if no method adapts.

    The best method has the highest mean return over all episodes, so that early gains count.
    """
    adapting = [method for method in result.methods if method.method != "prior"]
    if not adapting:
        return None
    best = max(adapting, key=lambda method: float(method.by_episode.mean()))
    episodes = len(best.by_episode)
    text = (
        f"In words: on tasks that training never saw, {best.method} returns "
        f"{best.by_episode[0]:.1f} in its {'first' if episodes > 1 else 'only'} episode"
    )
    if episodes > 1:
        where = f"in the last three of {episodes}" if episodes > 2 else "on average over both"
        text += f" and {best.last3_mean:.1f} {where}"
    prior = next((method for method in result.methods if method.method == "prior"), None)
    if prior is not None:
        text += f"; without adapting (prior) it would be {prior.last3_mean:.1f}"
    if result.experts_return is not None:
        text += f", and experts return {result.experts_return:.1f} on the tasks that trained them"
    return text + "."
