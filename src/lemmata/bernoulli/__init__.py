"""Inference on one probability from coin tosses: exact intervals, sequential tests, and audits of either."""

__all__: list[str] = []
