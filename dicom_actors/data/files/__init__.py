"""DICOM files: data sets with file meta information, and the directory of a file set.

What stands in a data set is left to `dataset`. The way through it: `part10` reads and writes one
file, `pixel_data_file` reads frames where they stand in one; `directory` reads a DICOMDIR and makes
one, `directory_links` has what links its records; `file_values` takes a few values out of each of
many files; `atomic_file` writes so that a name never stands for half a file.

Standard: PS3.10.
"""
