"""Certificates: what they say, how sure their curve is, and the logs in which they are kept."""
