"""Lipschitz constants of networks with proof, and the certificates that follow."""
