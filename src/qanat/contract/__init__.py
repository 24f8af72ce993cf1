"""The words that Qanat's processes exchange: queues, task names, statuses, events and the worker protocol.

Standard library only, so that any process, however small, may import it.
"""
