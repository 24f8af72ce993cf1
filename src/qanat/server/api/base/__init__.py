"""The endpoints without a version: health, tokens, what this server is."""
