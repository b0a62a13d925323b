"""What permutation symmetry and spare neurons do to critical points: exact counts, splitting, orbits."""
