"""Work on an archive as a whole, while it serves or not: check, rebuild, take in, copy, delete.

Each is a function over an open `Archive`. `python -m dicom_actors archive ...` is the way to them
from a command line.
"""
