"""``python -m voltgate``."""

import sys

from voltgate.cli import main

sys.exit(main())
