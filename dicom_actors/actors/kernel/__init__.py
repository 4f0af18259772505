"""The tables of an endpoint that outlive every actor: passive, and safe from any thread.

In: `endpoint_kernel` (all of them), `attendance`, `watch` with `parked_sockets` (who serves which
connection, and what nobody serves), `turns` (how many work at a time), `handler_table`, `callers`,
`handler_slots`, `circuit_breakers` and `descriptors` (limits), `listening_socket`, `event_loop`.
Leaves to others: doing anything.
"""
