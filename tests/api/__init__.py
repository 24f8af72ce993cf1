"""The HTTP API as clients meet it: what both versions share is tested once, and runs for each."""
