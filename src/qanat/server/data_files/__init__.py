"""Complex model data files: whatever a model wants besides exposure, uploaded by users."""
