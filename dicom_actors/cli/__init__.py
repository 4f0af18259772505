"""The command line: ``dicom-actors serve | dump``."""
