"""Life: listeners and the supervisor."""
