"""The API port."""
