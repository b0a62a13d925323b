"""Run trials and give back outcomes: serially, or in worker processes."""
