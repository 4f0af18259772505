"""Answers of many messages: C-FIND, C-GET and C-MOVE, sent with back-pressure. PS3.4 C.4."""
