"""Critical points of any objective: found, polished, certified, and called false where they are."""
