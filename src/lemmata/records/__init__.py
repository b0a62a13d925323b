"""What was measured: immutable, content-addressed, checked on every read."""
