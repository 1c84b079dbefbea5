"""Machine code on disk: where it cannot be read or written, it is compiled anew, and one line says so."""

import contextlib
import hashlib
import pickle
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .first_use import complain
from .sources import SOURCES

_DIGEST_BYTES = 32
_STALE_SECONDS = 600.0


def _reason(error: Exception) -> str:
    """Of an OSError without the path."""
    return str(getattr(error, "strerror", None) or error)


class Kept:
    """One function's code, a file for each key: what Numba's own cache asks of its `IndexDataCacheFile`.

    A file's name says what it is for, so that there is no index, which two processes might write at the same time. It
    begins with a digest of what follows: no damage goes unseen. It is replaced as a whole.

    Parameters
    ----------
    function
        The Python function.
    folder : str
        Where files go; it is made when it is needed.
    stamp : str
        What code was compiled by: Numba's version. Files with another stamp, or of other sources, are deleted.
    dumps : callable
        Makes bytes of what is kept, which `pickle` can read.
    """

    def __init__(self, function: Any, folder: str, stamp: str, dumps: Callable[[Any], bytes]) -> None:
        self.folder, self.dumps = Path(folder), dumps
        name = f"{function.__module__}.{function.__qualname__}".replace("<", "").replace(">", "")
        self.name = f"{name}-{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}."
        self.stamp = hashlib.sha256(f"{stamp} {SOURCES}".encode()).hexdigest()[:16]

    def _path(self, key: Any) -> Path:
        return self.folder / f"{self.name}{self.stamp}.{hashlib.sha256(repr(key).encode()).hexdigest()[:24]}.code"

    def load(self, key: Any) -> Any:
        """What was saved under the key; None if there is nothing that can be used."""
        path = self._path(key)
        try:
            content = path.read_bytes()
            digest, data = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
            if hashlib.sha256(data).digest() != digest:
                raise ValueError("it is damaged")
            return pickle.loads(data)
        except FileNotFoundError:
            return None
        except Exception as error:
            complain("load", f"{path} cannot be used ({_reason(error)}): what is in it is compiled anew")
            return None

    def save(self, key: Any, content: Any) -> None:
        """Keep `content` under the key, instead of what was there."""
        path, data = self._path(key), self.dumps(content)
        new = path.with_suffix(f".{uuid.uuid4().hex[:16]}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            new.write_bytes(hashlib.sha256(data).digest() + data)
            new.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                new.unlink()
            complain(
                "save",
                f"compiled kernels cannot be kept in {self.folder} ({_reason(error)}), and every run compiles again: "
                "make room there, or set NUMBA_CACHE_DIR to a folder that can be written to",
            )
            return
        for old in self.folder.glob(f"{self.name}*"):
            with contextlib.suppress(OSError):
                # Of other sources, or what a killed process has left half written.
                if not old.name.startswith(f"{self.name}{self.stamp}.") or (
                    old.suffix != ".code" and time.time() - old.stat().st_mtime > _STALE_SECONDS
                ):
                    old.unlink()

    def flush(self) -> None:
        """Forget what is kept."""
        for path in self.folder.glob(f"{self.name}*"):
            with contextlib.suppress(OSError):
                path.unlink()
