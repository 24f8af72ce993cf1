"""How commands fail: with a sentence, not a traceback."""


class CommandFailed(Exception):
    """What was asked cannot be done; the message says what is wrong, where, and what to do."""
