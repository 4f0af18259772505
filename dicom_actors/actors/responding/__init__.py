"""Answers of many messages: C-FIND, C-GET and C-MOVE, sent with back-pressure. PS3.4 C.4.

In: `find`, `get`, `move` over `responder` (the way to the peer), `pulling` and `loop_task` (where
instances and matches come from), `destinations` and `sub_association` (where a C-MOVE goes).
"""
