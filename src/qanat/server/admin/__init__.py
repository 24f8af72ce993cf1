"""ENTRANCE: the site where staff look at all rows, and set right what users cannot."""
