"""A stand-in for stock workers: plain Celery, with the tasks, arguments, results and messages of the wire contract.

It shares nothing with Qanat but the contract (sections 4.2 to 4.5, 5.1 and 7). What a test wants beyond that, such
as to die in the middle, it finds as a file in ``STAND_IN_WISHES``.
"""
