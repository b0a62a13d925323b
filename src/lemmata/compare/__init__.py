"""Two runs side by side, or a run beside the paper."""
