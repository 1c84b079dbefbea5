"""python -m fastnet: the command `fastnet`."""

import sys

from .cli import main

sys.exit(main())
