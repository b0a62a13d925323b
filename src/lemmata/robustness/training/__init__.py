"""Recipes for `lemmata.training.train` that make classifiers robust: noise, adversarial examples, consistency."""

from lemmata.robustness.training.adversarial import adversarial_training, fast_gradient_training
from lemmata.robustness.training.consistency import consistency
from lemmata.robustness.training.gaussian_augmentation import gaussian_augmentation
from lemmata.robustness.training.mixture import mixture
from lemmata.robustness.training.smooth_adv import smooth_adv
from lemmata.robustness.training.stability import stability

__all__ = [
    "adversarial_training",
    "consistency",
    "fast_gradient_training",
    "gaussian_augmentation",
    "mixture",
    "smooth_adv",
    "stability",
]
