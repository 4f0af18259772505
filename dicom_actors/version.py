"""The version of the package and what it says of itself on the wire and in files."""

__version__ = "0.1.0"

IMPLEMENTATION_CLASS_UID = "2.25.191867459153014273541163203207464281095"
"""Implementation Class UID (PS3.7 D.3.3.2, PS3.10 7.1); a fixed 2.25 UID of this project."""

IMPLEMENTATION_VERSION_NAME = "DICOM_ACTORS_010"
"""Implementation Version Name, at most 16 characters (PS3.7 D.3.3.2, PS3.10 7.1)."""
