"""Recipes for `lemmata.training.train` that make classifiers robust: noise, adversarial examples, consistency."""

from lemmata.robustness.training.gaussian_augmentation import gaussian_augmentation

__all__ = ["gaussian_augmentation"]
