"""Signals and gradients through the layers of a network: measured by hooks, and as mean-field theory has them."""
