"""What is known of one TCP connection, whoever serves it: socket, bytes, requests, deadlines.

In: `record` (the whole), of which `transport`, `input_buffer`, `request`, `outgoing_requests`,
`cancellation`, `pdu_log` are parts; `incarnation` with `deadlines` (what one Association notes),
`soundness` (whether the next may go on), `info` (as others see it), `signals`.
"""
