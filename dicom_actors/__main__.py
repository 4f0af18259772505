"""``python -m dicom_actors`` is the command ``dicom-actors``."""

import sys

from dicom_actors.cli.main import main

sys.exit(main())
