"""Where Qanat's own model workers claim, feed and finish steps (``contract.worker_protocol``)."""
