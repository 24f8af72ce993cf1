"""The loss kernel, behind a port."""
