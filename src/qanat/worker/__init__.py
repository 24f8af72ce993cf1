"""The model worker: takes steps of runs from its model's queues and runs them through the kernel.

The supervisor (``supervisor``, ``main``) is small and has no model code in it. Every step runs in a runner, a process
with a session, a directory and an environment of its own (``runner``, ``steps``, ``kernel``).
"""
