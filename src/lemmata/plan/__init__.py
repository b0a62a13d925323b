"""What will run: the grid, the trials, their identity, and a forecast of the cost."""
