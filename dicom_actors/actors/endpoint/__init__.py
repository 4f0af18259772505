"""The endpoint: its root, its front door, and the actors that there is one of each.

In: `supervisor` (the tree), `endpoint` (messages of host applications), `listener` (accepts),
`watcher` (parked connections and long handlers), `event_bus` and `tree` (what is told).
Leaves to others: the tables that all of them share (`kernel`), the associations.
"""
