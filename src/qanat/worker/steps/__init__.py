"""What each sub-task does, a function a task name; ``table`` says which."""
