"""python -m fastnet: the command `fastnet`."""

import sys

from fastnet_kernels.command import main

sys.exit(main())
