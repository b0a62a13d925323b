"""From claims and records to verdicts: pure functions."""
