"""Learning rate over a training, as a pure function of the step."""

import math

from pyg_sgm.training.recipes import Recipe


def lr_factor(step: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """Share of ``recipe.lr`` at a step.

    One-cycle rises along a cosine from 1/25 over the first 30 % of the steps, and falls along a
    cosine to 1/10,000 over the rest. The others rise linearly over the share ``recipe.warmup``.

    Args:
        step: Steps done, from 0.
        steps_per_epoch: Steps of one epoch.
        recipe: Names the schedule.

    Example:
        >>> lr_factor(30, steps_per_epoch=2, recipe=Recipe(schedule="step", step_epochs=15))
        0.1
    """
    total = recipe.epochs * steps_per_epoch
    if recipe.schedule == "one-cycle":
        peak = 0.3 * total
        if step < peak:
            return _cosine(1 / 25, 1.0, step / peak)
        return _cosine(1.0, 1e-4, (step - peak) / (total - peak))
    warmup = recipe.warmup * total
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if recipe.schedule == "step":
        return 0.1 ** (step // (recipe.step_epochs * steps_per_epoch))
    if recipe.schedule == "cosine":
        return _cosine(1.0, 0.0, (step - warmup) / (total - warmup))
    return 1.0


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
