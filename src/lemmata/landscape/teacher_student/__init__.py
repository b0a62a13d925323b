"""One hidden layer that learns from a teacher of its own kind, under Gaussian inputs, in closed form."""
