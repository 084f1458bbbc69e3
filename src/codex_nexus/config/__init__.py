"""The user's will: keys of config.json, their check and their file."""
