"""The loss kernel: what steps need of it (``port``), and the kernel itself (``oasislmf``)."""
