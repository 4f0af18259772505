"""Where user code runs: the event handlers, what they are called with, what they return."""
