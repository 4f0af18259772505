"""Bytes to an index: where each element of a data set starts.

Functions that keep nothing: bytes, a `Layout` and a range go in, an index comes out, for the whole
data set, for its head, for picked elements, or one for each item of a sequence. What is met on the
way (warnings, the ends of undefined lengths, headers that needed guessing) is noted in the
`Reading` of the input. Neither values nor data sets are known here: whoever has an index decides
what to decode, and when.

The way through it: `layout` says how elements lie in bytes, `scope` where they stand; `headers`
reads one header, right or wrong; `elements` goes over all of them, `selection` over those that
are wanted; `damage` over what can be read where something cannot. `native` has compiled loops for
`elements` and `selection`, where they were built; they know only what is usual.

Standard: PS3.5 7.1, 7.5, Annex A.
"""
