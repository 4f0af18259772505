"""What arrives: kept while it comes, and made a file that is whole and durable. PS3.10 7.

In: `storage` (the whole), `receiver` (a data set on its way) within `budget`, `part_file` and
`folders` with `directory` (files), `identity` (what object it is), `janitor` (leftovers).
"""
