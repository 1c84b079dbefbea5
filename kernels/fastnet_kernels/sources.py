"""The state of the package's sources: compiled kernels are kept on disk under it, so that no edit can be missed."""

import hashlib
from pathlib import Path

_PACKAGE = Path(__file__).parent
SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_PACKAGE.rglob("*.py")))).hexdigest()
