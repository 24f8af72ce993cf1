"""The model worker: takes steps from the model's queue and runs them through the kernel in a child of its own."""
