"""Where bytes live: one port, and what can stand behind it."""
