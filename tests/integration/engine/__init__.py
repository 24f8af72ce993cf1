"""The engine against a real database: SQLite here, PostgreSQL through ``test_on_postgresql``."""
