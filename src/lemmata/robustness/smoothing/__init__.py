"""Randomised smoothing: noise, votes, and certificates from as few of them as it takes."""
