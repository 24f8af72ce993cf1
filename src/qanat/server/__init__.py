"""The server's processes: one code base, started in one of several roles (``python -m qanat.server ROLE``)."""
