"""The values of one VR: bytes to Python values and back, and what users give in their place.

No data set is known here: what decoding has to know of the one that a value is in (its character
set, whom to tell of what was forgiven) comes in as a `codec.Holder`. Sequences are left to
`dataset`; frames of pixel data to `forms`.

The way through it: `codec` decodes, encodes and coerces, one function for each VR; `value_types`
has what values are in Python beside text, numbers and bytes, `encapsulated` compressed pixel data,
`character_sets` the text; `checks` says where values depart from the rules.

Standard: PS3.5 6.
"""
