"""Paths between two sets of weights: straight, curved, relaxed; and the barrier along them."""
