"""The control panel's port: its guard, its endpoints and the page."""
