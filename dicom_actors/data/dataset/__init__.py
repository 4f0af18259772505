"""Data sets: elements by tag, read lazily from bytes or made of Python values, and written.

Here laziness lives: `scan` gives the index of some bytes, `values` decodes what is asked for, and
a data set keeps both together, with what was put in. Files are left to `files`; what is made of
whole data sets (JSON, text, frames) to `forms`, which `DataSet` reaches by name alone.

The way through it: an `element_index.ElementIndex` holds the elements of one data set, and a
`data_set.DataSet` is what users see of it; `reading` makes the index of bytes in a transfer syntax,
`encoder` the bytes; `whole` walks, copies and compares; `private` has blocks of private elements,
`checks` what departs from the rules.

Standard: PS3.5 7, Annex A.
"""
