"""What both versions of the API offer, tested once and run for each."""
