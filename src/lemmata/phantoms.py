"""Problems whose answers are known exactly, for testing instruments."""
