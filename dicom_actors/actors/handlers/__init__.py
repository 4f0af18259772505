"""Where user code runs: the event handlers, what they are called with, what they return.

In: `events` and `operation_events` (their argument), `handler` (the
boundary), `outcomes` (their result). Leaves to others: answers of many messages (`responding`).
"""
