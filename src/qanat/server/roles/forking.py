"""What processes share with those that they are forked from."""

import gc


def keep_shared() -> None:
    """Have the collector leave alone all that there is now: call it before a fork.

    It writes to every object that it looks at, so the first time it looked at everything in a forked process, that
    process would get a copy of the whole heap.
    """
    gc.collect()
    gc.freeze()
