"""One association: negotiated, its requests received, handled and answered, ended.

In: `association` (the actor), then `opening` with `admission` (what is accepted), `requests` (from
the first fragment to the answer), `aborting`; `supervisor` restarts it. Leaves to others: what it
knows (`connection`), running user code (`handlers`).
"""
