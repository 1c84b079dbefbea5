"""Files that are replaced whole or not at all, whatever happens while they are written."""

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

_PREFIX = ".fastnet-"  # of temporary names
_STALE_SECONDS = 600.0  # without a change, and unlocked: whoever wrote it is gone
_ADVICE = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "everything before the last name must be a folder",
    errno.ELOOP: "the link leads to itself, remove it",
}


@contextlib.contextmanager
def replacing(path: AnyPath, *, is_log: bool = False) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` once it is whole: a crash leaves the old one.

    The new file keeps the old one's mode and, where that is permitted, its owner; a symbolic link stays one, and what
    it leads to is replaced. A device or a pipe is written to as it is. A log, which is written often, does not wait for
    the disk: it need not outlive a power failure.

    Raises
    ------
    OSError
        FileNotFoundError, PermissionError and so on: it names `path` and says what to do.
    """
    given = os.fsdecode(path)
    place = _place(given)
    with _naming(given):
        if place is None:
            with open(given, "wb") as device:
                yield device
            return
        descriptor, temporary = _create(place)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _lock(descriptor)
                _remove_stale(place, os.fstat(descriptor).st_mtime)
                yield file
                file.flush()
                if place.replaced is not None:
                    _keep_owner_and_mode(descriptor, place.replaced)
                if not is_log:
                    os.fsync(descriptor)
            os.replace(temporary, place.target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        if not is_log:
            _sync_folder(place.folder)


def check_writable(path: AnyPath) -> None:
    """Raise the OSError that `replacing` would, before there is anything to write; nothing is left behind.

    >>> import fastnet.storage.writing
    >>> fastnet.storage.writing.check_writable("no-such-folder/log.csv")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] there is no folder 'no-such-folder', make it first: 'no-such-folder/log.csv'
    """
    given = os.fsdecode(path)
    place = _place(given)
    if place is not None:
        with _naming(given):
            descriptor, temporary = _create(place)
            os.close(descriptor)
            os.unlink(temporary)


@dataclass(frozen=True)
class _Place:
    """Where a file goes."""

    folder: str
    target: str  # behind all links
    replaced: os.stat_result | None  # the file that is there
    prefix: str  # of the temporary names for this target


def _place(given: str) -> _Place | None:
    """Where the file `given` goes; None for a device or a pipe. OSError for what cannot be written."""
    if not given:
        raise FileNotFoundError(errno.ENOENT, "the path is empty, give the path of a file", given)
    with _naming(given):
        try:
            status = os.stat(given)
        except FileNotFoundError:
            status = None
    if given.endswith((os.sep, os.altsep or os.sep)) or (status is not None and stat.S_ISDIR(status.st_mode)):
        raise OSError(errno.EISDIR, "this is a folder, give the path of a file", given)
    by_effective_user = os.access in os.supports_effective_ids
    if status is not None and not os.access(given, os.W_OK, effective_ids=by_effective_user):
        raise OSError(errno.EACCES, "this file may not be written to, choose another or change its mode", given)
    if status is not None and not stat.S_ISREG(status.st_mode):
        return None
    target = os.path.realpath(given)
    folder, name = os.path.split(target)
    if not os.path.isdir(folder):
        shown = os.path.dirname(given) if not os.path.islink(given) else folder
        raise OSError(errno.ENOENT, f"there is no folder {shown!r}, make it first", given)
    # The name itself may be as long as names can be, so that its digest stands for it.
    digest = hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()
    return _Place(folder, target, status, f"{_PREFIX}{digest}-")


@contextlib.contextmanager
def _naming(given: str) -> Iterator[None]:
    """Errors of the system name the path that was given instead of a temporary one, and say what to do."""
    try:
        yield
    except OSError as error:
        name = os.path.basename(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else ""
        is_ours = error.filename in (None, given) or name.startswith(_PREFIX)
        if error.errno is None or not is_ours:
            raise
        advice = f", {_ADVICE[error.errno]}" if error.errno in _ADVICE else ""
        raise OSError(error.errno, f"{os.strerror(error.errno)}{advice}", given) from error


def _create(place: _Place) -> tuple[int, str]:
    """A new file beside the target, open, and its name. Its mode is the umask's, or no more than the old one's."""
    mode = 0o666 if place.replaced is None else stat.S_IMODE(place.replaced.st_mode) & 0o666
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    temporary = os.path.join(place.folder, place.prefix + secrets.token_hex(8))
    return os.open(temporary, flags, mode), temporary


def _keep_owner_and_mode(descriptor: int, replaced: os.stat_result) -> None:
    if hasattr(os, "fchown"):
        for owner in ((replaced.st_uid, -1), (-1, replaced.st_gid)):
            with contextlib.suppress(OSError):  # only an administrator may give files away
                os.fchown(descriptor, *owner)
    if hasattr(os, "fchmod"):
        with contextlib.suppress(OSError):  # some file systems have no modes
            os.fchmod(descriptor, stat.S_IMODE(replaced.st_mode))


def _lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; returns whether somebody else has it.

    Unlike a process number it also tells of writers on other hosts and in other containers, and ends with a kill.
    """
    try:
        import fcntl
    except ImportError:
        return False  # on Windows an open file cannot be deleted anyway
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EACCES)  # else there are no locks here: the age must do
    return False


def _remove_stale(place: _Place, now: float) -> None:
    """Remove what killed processes have left of this target; `now` is by the clock of the file system."""
    with contextlib.suppress(OSError), os.scandir(place.folder) as entries:
        for entry in entries:
            if not entry.name.startswith(place.prefix):
                continue
            with contextlib.suppress(OSError):
                if now - entry.stat(follow_symlinks=False).st_mtime > _STALE_SECONDS and not _is_locked(entry.path):
                    os.unlink(entry.path)


def _is_locked(path: str) -> bool:
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    try:
        return _lock(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: str) -> None:
    """Make a new name last; only some systems can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
