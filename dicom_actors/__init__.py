"""A DICOM library and network endpoint built as a tree of supervised actors."""

from dicom_actors.version import __version__

__all__ = ["__version__"]
