"""Analyses: a portfolio, a model and settings; what was requested of them and what came out."""
