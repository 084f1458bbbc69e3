"""The control panel's port."""
