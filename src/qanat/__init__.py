"""Qanat: an open platform for catastrophe-loss modelling."""

__version__ = "0.1.0"
