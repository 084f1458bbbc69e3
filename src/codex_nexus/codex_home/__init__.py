"""What is written for Codex."""
