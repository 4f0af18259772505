"""What arrives: kept while it comes, and made a file that is whole and durable.

A `Storage` is the door; an endpoint has one. On the way in it makes a `Receiver` for each data set
(``receiver``), which holds it in memory or in a `PartFile` (``part_file``), within the budgets of
bytes of the endpoint (``budget``). ``identity`` says what object that is. On the way out
`Storage.save` gives the file its name in a folder that is kept open (``folders``, ``directory``).
What is abandoned is removed by whoever is stuck in it, or by the ``janitor``. Sockets, requests and
statuses are the business of others.
"""
