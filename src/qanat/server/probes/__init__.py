"""ENTRANCE for whoever watches over the server: does it live, is it ready, and how is it doing."""
