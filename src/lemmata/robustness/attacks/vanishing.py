"""The warning that an attack followed no gradient: a classifier that it left standing may have hidden it only.

A gradient counts as vanished if the change of the loss that it promises over the whole ball, eps times its dual norm,
is no more than the rounding of the logits (which covers 0): then the next point is chosen by rounding. A small gradient
is none such: steps are normalised, and a loss on logits has a gradient at any confidence.

Source: Athalye, Carlini, Wagner (2018), section 3, on masked gradients.
"""

from __future__ import annotations

import warnings

from lemmata.robustness.attacks.attack import Attack, VanishingGradients

WORTH_SAYING = 0.01  # of the images


def warn_of_vanishing(found: Attack) -> Attack:
    """Warn where many unbroken images had mostly no gradient; give the attack back."""
    if found.vanished is None:
        return found
    blind = (found.vanished > 0.5) & ~found.success
    share = float(blind.double().mean())
    if share >= WORTH_SAYING:
        warnings.warn(
            f"{found.name}: for {share:.1%} of the images the gradient was zero or lost in rounding, and they were not "
            "broken; that says nothing of their robustness. Attack the logits rather than a saturated softmax, take "
            "loss='margin' or float64, start at random more often (restarts=10), or attack without gradients "
            "(auto_attack) or by transfer from another model",
            VanishingGradients,
            stacklevel=3,
        )
    return found
