"""The entrance for HTTP: translate in, one call of a feature, translate out."""
