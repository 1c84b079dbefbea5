"""Files are replaced whole or not at all, whatever their names, links and modes, and leave nothing else behind."""

import errno
import os
import stat
import subprocess
import sys
import textwrap
import threading

import pytest

import fastnet as fn
from fastnet.storage.writing import check_writable, replacing

posix = pytest.mark.skipif(os.name == "nt", reason="modes, links and devices of POSIX")


def put(path, text=b"new"):
    with replacing(path) as file:
        file.write(text)


def read(path):
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.fixture
def nobody():
    """Permissions are those of a user who is no administrator."""
    if os.name == "nt":
        pytest.skip("permissions of POSIX")
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@posix
def test_a_new_file_has_the_mode_that_the_umask_gives(tmp_path, umask):
    put(tmp_path / "file")
    fn.Network([fn.Dense(1)]).build(2).save(tmp_path / "model")
    assert [stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("file", "model")] == [0o640, 0o640]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755])
def test_mode_and_owner_of_the_old_file_are_kept(old, mode, umask):
    if os.geteuid() == 0:
        os.chown(old, 1234, 1235)
    os.chmod(old, mode)
    before = os.stat(old)
    put(old)
    after = os.stat(old)
    assert read(old) == b"new"
    assert stat.S_IMODE(after.st_mode) == mode
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)


@posix
def test_a_link_stays_a_link(old, tmp_path):
    (tmp_path / "folder").mkdir()
    direct, indirect, dangling = (tmp_path / "folder" / name for name in ("direct", "indirect", "dangling"))
    direct.symlink_to("../file")
    indirect.symlink_to("direct")
    dangling.symlink_to(tmp_path / "made")
    put(indirect)
    put(dangling)
    assert read(old) == read(tmp_path / "made") == b"new"
    assert direct.is_symlink()
    assert indirect.is_symlink()
    assert dangling.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "made"]
    dangling.unlink()
    dangling.symlink_to(tmp_path / "nowhere" / "made")
    with pytest.raises(FileNotFoundError, match=r"no folder '.*nowhere', make it first: '.*dangling'"):
        put(dangling)


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127])
def test_names_as_long_as_they_can_be(name, tmp_path):
    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("this file system has shorter names")
    put(tmp_path / name)
    put(os.fsencode(tmp_path / name), b"by bytes")
    assert read(tmp_path / name) == b"by bytes"
    assert os.listdir(tmp_path) == [name]
    with pytest.raises(OSError, match="choose a shorter name") as caught:
        put(tmp_path / (name + "nn"))
    assert caught.value.errno == errno.ENAMETOOLONG


def test_no_path():
    with pytest.raises(TypeError, match="PathLike"):
        put(3)


# Each is made by a function of an empty folder, which returns the path that cannot be written.
def in_no_folder(folder):
    return folder / "nowhere" / "file"


def below_a_file(folder):
    (folder / "file").touch()
    return folder / "file" / "below"


def a_folder(folder):
    return folder


def with_a_slash(folder):
    return f"{folder}/new/"


def in_a_folder_of_others(folder):
    folder.chmod(0o555)
    return folder / "file"


def read_only(folder):
    (folder / "file").touch()
    (folder / "file").chmod(0o444)
    return folder / "file"


@posix
@pytest.mark.parametrize(
    ("case", "error", "advice"),
    [
        (in_no_folder, FileNotFoundError, "there is no folder '.*nowhere', make it first"),
        (below_a_file, NotADirectoryError, "must be a folder"),
        (a_folder, IsADirectoryError, "give the path of a file"),
        (with_a_slash, IsADirectoryError, "give the path of a file"),
        (in_a_folder_of_others, PermissionError, "choose a folder that you may write to"),
        (read_only, PermissionError, "choose another or change its mode"),
    ],
)
def test_errors_name_the_path_and_say_what_to_do(case, error, advice, tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("folder")
    for each in (folder, *folder.parents):
        if "pytest-of-" in str(each):
            each.chmod(0o777)  # for nobody
    path = case(folder)
    before = sorted(os.listdir(folder))
    request.getfixturevalue("nobody")
    for function in (check_writable, put):
        with pytest.raises(error, match=advice) as caught:
            function(path)
        assert caught.value.filename == str(path)
        assert caught.value.errno
        assert ".fastnet" not in str(caught.value)
    assert sorted(os.listdir(folder)) == before


def test_a_full_disk(old, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=f"make room there: '{old}'") as caught:
        put(old)
    assert caught.value.errno == errno.ENOSPC
    assert read(old) == b"old"
    assert os.listdir(old.parent) == ["file"]


def test_checking_leaves_things_as_they_are(old, tmp_path):
    check_writable(old)
    check_writable(tmp_path / "new")
    assert os.listdir(tmp_path) == ["file"]
    assert read(old) == b"old"


@posix
def test_devices_are_written_to(nobody):
    """By nobody: an administrator's mistake here would replace the machine's own devices."""
    check_writable(os.devnull)
    put(os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    if os.path.exists("/dev/full"):
        with pytest.raises(OSError, match="make room there: '/dev/full'"):
            put("/dev/full")


@posix
def test_pipes_are_written_to(tmp_path):
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    check_writable(pipe)
    reader = threading.Thread(target=lambda: found.append(read(pipe)))
    reader.start()
    put(pipe)
    reader.join(10)
    assert found == [b"new"]
    assert os.listdir(tmp_path) == ["pipe"]


def test_two_writers_at_once(old):
    with replacing(old) as first:
        first.write(b"first")
        with replacing(old) as second:
            second.write(b"second")
        assert read(old) == b"second"
    assert read(old) == b"first"
    assert os.listdir(old.parent) == ["file"]


def age(folder, seconds=3600):
    """Make all temporary files there older; returns their names."""
    found = [name for name in os.listdir(folder) if name.startswith(".fastnet-")]
    for name in found:
        status = os.stat(folder / name)
        os.utime(folder / name, (status.st_atime - seconds, status.st_mtime - seconds))
    return found


def test_what_a_kill_leaves_is_removed_by_a_later_save(old, tmp_path):
    script = """
        import os, sys
        from fastnet.storage.writing import replacing
        with replacing(sys.argv[1]) as file:
            file.write(b"half")
            file.flush()
            os._exit(1)
    """
    for path in (old, tmp_path / "other"):
        subprocess.run([sys.executable, "-c", textwrap.dedent(script), path], check=False)
    assert read(old) == b"old"
    put(old)
    assert len(age(tmp_path)) == 2, "so young, they could be on their way"
    put(old)
    left = age(tmp_path)
    assert len(left) == 1, "that of the other file stays"
    put(tmp_path / "other")
    assert sorted(os.listdir(tmp_path)) == ["file", "other"]


def test_a_slow_writer_keeps_its_file(old):
    with replacing(old) as file:
        file.write(b"slow")
        file.flush()
        assert len(age(old.parent)) == 1
        put(old, b"quick")
        assert read(old) == b"quick"
    assert read(old) == b"slow"
    assert os.listdir(old.parent) == ["file"]
