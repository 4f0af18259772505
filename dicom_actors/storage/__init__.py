"""What is to be sent, for whoever sends it: the user side, C-GET and C-MOVE.

In, one way down: `plan` (which objects, in which order, on which presentation contexts), `outgoing`
(one object: where its bytes are), `contexts` (what is proposed, and chosen of what was accepted),
`results` (what became of an object). Nothing here knows a connection.
"""
