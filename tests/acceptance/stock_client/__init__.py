"""The stock Python client, a version at a time, each in a process of its own with that version's interpreter."""
