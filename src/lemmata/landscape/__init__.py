"""Loss surfaces: along lines and over planes, around a minimum, between checkpoints and along a trajectory."""
