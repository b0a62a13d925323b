"""The refusal of an exact trace or diagonal."""

from lemmata.errors import InvalidInput


class NotExact(InvalidInput):
    """No exact value is to be had this way; the message says what stands in the way, and what to take instead."""
