"""Properties are tried on a few examples, and on a busy machine they may take their time."""

from hypothesis import settings

settings.register_profile("busy machine", deadline=None, max_examples=30)
settings.load_profile("busy machine")
