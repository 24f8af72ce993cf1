"""A connection that was kept is looked at before it is used again, as Django does, but without a query.

A server that has ended, or a network that says so, has closed the socket, which the system knows here. The query that
Django sends instead was a tenth of the time of a small request.
"""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, but for that."""

    def is_usable(self) -> bool:
        """Return whether the connection is as quiet as it was left; if not, ask over it."""
        if self.connection is None or self.connection.closed:
            return False
        socket = select.poll()
        socket.register(self.connection.fileno(), select.POLLIN)
        return not socket.poll(0) or super().is_usable()
