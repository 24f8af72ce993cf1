"""Django's PostgreSQL, for connections that may have ended, or whose other end may have vanished, without a word.

A connection that was kept is looked at before it is used again, as Django does, but without a query: a server that has
ended, or a network that says so, has closed the socket, which the system knows here. The query that Django sends
instead was a tenth of the time of a small request.

A host that loses its network, or its power, says nothing: both ends believe in the connection. Without the limits below
a task controller that was cut off in a query would wait for the answer for a quarter of an hour, or for ever, and
whatever it had locked would stay locked for the system's two hours, and the run with it.
"""

import select
from typing import Any, Final

from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper

CLIENT: Final = {
    # Of each address that the host's name has; the system itself would try for two minutes.
    "connect_timeout": 10,
    # Waiting for an answer, look after 5 s whether the other end is there, and then every 2 s.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    # Nothing acknowledged for 10 s: it is gone. To connect anew costs milliseconds, and a lease is a minute.
    "tcp_user_timeout": 10_000,
}
"""How soon this end gives up the other, as libpq has it; what the address of the database says goes before."""
SERVER: Final = {
    "tcp_keepalives_idle": "5s",
    "tcp_keepalives_interval": "2s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10s",
    # A session that waits for a lock, or computes, looks too.
    "client_connection_check_interval": "5s",
    # A process that stands still, such as one on a frozen machine, keeps its rows from others no longer than a lease.
    "idle_in_transaction_session_timeout": "60s",
    # A plan that was made while a table was empty would be kept when it has a million rows.
    "plan_cache_mode": "force_custom_plan",
}
"""How soon the server gives up this end, and what it plans. Said once there is a connection, for pools refuse such
words before."""


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, but for that."""

    def get_connection_params(self) -> dict[str, Any]:
        """Return Django's, and the limits where the settings have none."""
        return {**CLIENT, **super().get_connection_params()}

    def init_connection_state(self) -> None:
        """Tell the server its limits."""
        super().init_connection_state()
        told = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in SERVER.items())
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {told}")
        if not self.get_autocommit():
            self.connection.commit()

    def prepared_cursor(self) -> CursorWrapper:
        """Return a cursor that binds parameters on the server, which reads what is asked again and again only once."""
        self.close_if_health_check_failed()
        self.ensure_connection()
        with self.wrap_database_errors:
            bare = base.ServerBindingCursor(self.connection)  # type: ignore[call-arg] # the stubs lack its arguments
            cursor: CursorWrapper = self._prepare_cursor(bare)  # type: ignore[attr-defined] # and this
            return cursor

    def is_usable(self) -> bool:
        """Return whether the connection is as quiet as it was left; if not, ask over it."""
        if self.connection is None or self.connection.closed:
            return False
        socket = select.poll()
        socket.register(self.connection.fileno(), select.POLLIN)
        return not socket.poll(0) or super().is_usable()
