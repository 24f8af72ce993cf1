"""The V1 API: what differs from ``common`` is here, and nothing else."""
