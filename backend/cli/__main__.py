"""`python -m backend.cli`: the same as `lamina`."""

import sys

from backend.cli.top import main

sys.exit(main())
