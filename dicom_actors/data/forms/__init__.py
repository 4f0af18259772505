"""What is made of whole data sets: other forms of them, and views.

Each module stands by itself: `json` is the DICOM JSON Model both ways, `text` what people read,
`frames` the frames of pixel data as they are in the data set, `pydicom_bridge` the way from and to
pydicom. `DataSet` loads them when it is asked for the form. Pixels are not decompressed here.
"""
