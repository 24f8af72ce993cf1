"""What each sub-task does in the runner: one function a task, found in one table (``table``)."""
