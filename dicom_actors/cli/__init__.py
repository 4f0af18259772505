"""The command line ``dicom-actors``; `main` is where it begins."""
