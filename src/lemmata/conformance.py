"""A test class that an instrument must pass; third parties run it on their own."""
