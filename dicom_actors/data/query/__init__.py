"""Attribute matching: which data sets answer a query, and what their answers hold.

Where data sets come from, and how queries and answers travel, is left to others. The way through
it: `matching.Query` is made of an identifier and asked for each data set; `matching_values` says
how one value is compared with a key.

Standard: PS3.4 C.2.2.2.
"""
