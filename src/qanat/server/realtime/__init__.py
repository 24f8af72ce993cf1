"""The entrance for websockets."""
