"""Studies that come with lemmata: one file a paper, loaded by name, imported by nothing."""
