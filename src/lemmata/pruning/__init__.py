"""Pruning any model: winning tickets by iterative magnitude, their baselines, and the stability of training."""
