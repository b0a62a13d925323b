"""Permutations of neurons: derived from a model's graph, and found between two models or many."""
