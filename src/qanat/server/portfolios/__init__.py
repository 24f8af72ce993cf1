"""Portfolios: exposure and reinsurance in OED files, and the currencies to report in."""
