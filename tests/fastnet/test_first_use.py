"""First calls, which import Numba and compile or load kernels: from several threads, interrupted, and what they say."""

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from fastnet_kernels import codes, first_use

import fastnet as fn
from fastnet.execution import announcing

# Networks to use first, and what a process of a test has at hand.
BEGIN = """
import faulthandler, os, signal, sys, threading, time
faulthandler.dump_traceback_later(200, exit=True)
import numpy as np
import fastnet as fn

X = np.random.default_rng(0).standard_normal((60, 4)).astype("f4")
y = (X[:, 0] > 0).astype(int)


def fit():
    fn.Network([fn.Dense(8, "relu"), fn.Dense(1, "sigmoid")]).fit(X, y, epochs=1, verbose=False)

"""


def run(script, *arguments, **environment):
    """What a process of its own prints, and its standard error."""
    command = [sys.executable, "-c", BEGIN + textwrap.dedent(script), *map(str, arguments)]
    variables = {**os.environ, **environment}
    result = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout, result.stderr


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A folder in which what these tests use is compiled: by a cold start that is interrupted again and again."""
    folder = tmp_path_factory.mktemp("cache")
    script = """
    def interrupt():
        for seconds in (0.1, 0.3, 0.6, 1.5, 2.5):
            time.sleep(seconds)
            os.kill(os.getpid(), signal.SIGINT)

    from traceback import format_exc
    threading.Thread(target=interrupt).start()
    found = []
    while len(found) < 5:
        try:
            fit()
        except KeyboardInterrupt as error:
            found.append(f"{error}, {len(format_exc().splitlines()) < 40}")
    fit()
    print(len(found), set(found))
    """
    return folder, *run(script, NUMBA_CACHE_DIR=str(folder))


SAID = "compiling or loading kernels was interrupted: what is done is kept, and the next call goes on"


@pytest.mark.slow  # the kernels are compiled anew
def test_a_cold_start_goes_on_after_every_interrupt(warm):
    _, output, errors = warm
    assert output == f"5 {{'{SAID}, True'}}\n"
    assert " interrupted\n" in errors
    assert errors.endswith(" s\n")
    for line in errors.splitlines():
        assert line.startswith("fastnet: compiling the kernels (float32; once, kept in ")


@pytest.mark.slow  # the kernels are compiled anew
@pytest.mark.parametrize("delay", [0, 0.02, 0.05, 0.3])
def test_first_calls_from_several_threads(warm, delay):
    """Another one imports Numba by itself meanwhile, and compiles a function of its own."""
    script = """
    errors = []

    def attempt(function):
        try:
            function()
        except BaseException as error:
            errors.append(repr(error))

    def own():
        from numba import njit
        import numba.typed

        @njit
        def add(a, b):
            return a + b

        add(1, 2)

    threads = [threading.Thread(target=attempt, args=[function]) for function in (fit, own, fit, fit)]
    for thread in threads:
        thread.start()
        time.sleep(float(sys.argv[1]))
    for thread in threads:
        thread.join()
    print(errors)
    """
    assert run(script, delay, NUMBA_CACHE_DIR=str(warm[0])) == ("[]\n", "")


@pytest.mark.slow  # the kernels are compiled anew
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timer")
def test_whatever_a_handler_of_a_signal_raises_tears_nothing(warm):
    """A timer goes off every few milliseconds, while Numba is imported and kernels are loaded."""
    script = """
    class Late(Exception):
        pass

    def raises(number, frame):
        raise Late

    signal.signal(signal.SIGALRM, raises)
    count, milliseconds = 0, 5
    while True:
        try:
            # Again and again: what is raised in a place where Python ignores it is not seen here.
            signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000, milliseconds / 1000)
            fit()
            signal.setitimer(signal.ITIMER_REAL, 0)
            break
        except Late:
            count, milliseconds = count + 1, milliseconds * 1.2
    print(count > 5)
    """
    assert run(script, NUMBA_CACHE_DIR=str(warm[0]))[0] == "True\n"


@pytest.mark.slow  # the kernels are compiled anew
def test_a_handler_of_the_users_own_is_called_at_once_and_stays(warm):
    script = """
    called = []
    handler = lambda number, frame: called.append(number)
    signal.signal(signal.SIGINT, handler)
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    fit()
    print(called == [signal.SIGINT], signal.getsignal(signal.SIGINT) is handler)
    """
    assert run(script, NUMBA_CACHE_DIR=str(warm[0])) == ("True True\n", "")


@pytest.mark.slow
def test_sigterm_ends_a_process_that_compiles():
    """As an exception that ends it: the thread that compiles stops at the next routine."""
    script = """
    def leave(number, frame):
        sys.exit(7)

    signal.signal(signal.SIGTERM, leave)
    threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NUMBA_CACHE_DIR"] = folder
        try:
            fit()
        except SystemExit as error:
            print(error.code)
            sys.stdout.flush()
            sys.exit(0)
    """
    output, errors = run(script)
    assert output == "7\n"
    assert errors.endswith(" interrupted\n")


@pytest.mark.slow  # the kernels are compiled anew
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_that_is_forked_meanwhile(warm):
    """It starts when what is being loaded is, and uses that; so does one whose parent has never used fastnet."""
    script = """
    def use():  # no progress bar: tqdm has a lock of its own, which does not survive a fork
        fn.Network([fn.Dense(8, "relu"), fn.Dense(1)]).build(4).predict(X)

    def child():
        if (process := os.fork()) == 0:
            try:
                use()
                os._exit(0)
            finally:
                os._exit(1)
        return os.waitpid(process, 0)[1]

    found = [child()]
    other = threading.Thread(target=use)
    other.start()
    for _ in range(3):
        time.sleep(0.1)
        found.append(child())
    other.join()
    print(found)
    """
    assert run(script, NUMBA_CACHE_DIR=str(warm[0])) == ("[0, 0, 0, 0]\n", "")


PART = """
    fn.Network([fn.Dense(8, "elu"), fn.Dense(1)]).build(4).predict(X)
    """


@pytest.mark.slow  # the kernels are compiled anew
def test_what_is_compiled_later_is_said_by_name_and_once(warm):
    said = "fastnet: compiling the part for rarer activations, which this network is the first to use ..."
    assert run(PART, NUMBA_CACHE_DIR=str(warm[0]))[1].startswith(said)
    assert run(PART, NUMBA_CACHE_DIR=str(warm[0]))[1] == ""


@pytest.mark.slow  # the kernels are compiled anew
def test_without_standard_error(warm):
    said = "sys.stderr = None; from fastnet_kernels.first_use import tell; tell('nobody hears this\\n'); print('right')"
    assert run(said, NUMBA_CACHE_DIR=str(warm[0]))[0] == "right\n"


def test_without_compilation_there_is_nothing():
    script = """
    for _ in range(2):
        try:
            fit()
        except RuntimeError as error:
            print(error)
    """
    output, _ = run(script, NUMBA_DISABLE_JIT="1")
    assert output == "fastnet's kernels exist only compiled: unset NUMBA_DISABLE_JIT\n" * 2


# ---------------------------------------------------------------- in this process


def test_work_happens_one_at_a_time_and_not_in_the_calling_thread():
    events = []

    def work():
        assert first_use.is_apart()
        assert first_use.apart(threading.get_ident) == threading.get_ident()
        events.append("begins")
        time.sleep(0.01)
        events.append("ends")
        return threading.get_ident()

    threads = [threading.Thread(target=first_use.apart, args=[work]) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert first_use.apart(work) != threading.get_ident()
    for thread in threads:
        thread.join()
    assert events == ["begins", "ends"] * 5
    assert not first_use.is_apart()


def test_work_that_nobody_waits_for_ends_at_the_next_safe_point():
    is_left, has_ended = threading.Event(), threading.Event()
    events = []

    def work():
        os.kill(os.getpid(), signal.SIGINT)
        is_left.wait(10)
        events.append("this piece is done")
        try:
            first_use.safe_point()
            events.append("and so is the next one")
        finally:
            has_ended.set()

    with pytest.raises(KeyboardInterrupt, match="the next call goes on"):
        first_use.apart(work)
    is_left.set()
    assert has_ended.wait(10)
    assert events == ["this piece is done"]
    assert first_use.apart(lambda: "next") == "next"


def test_errors_come_back():
    with pytest.raises(ZeroDivisionError):
        first_use.apart(lambda: 1 / 0)


def test_seconds_of_waiting_are_the_waiting_threads():
    before = announcing.seconds_compiling()
    first_use.apart(lambda: time.sleep(0.05))
    assert announcing.seconds_compiling() - before >= 0.05
    other = []
    thread = threading.Thread(target=lambda: other.append(announcing.seconds_compiling()))
    thread.start()
    thread.join()
    assert other == [0.0]


def test_what_is_said_are_whole_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    def work():
        first_use.tell("fastnet: compiling ...")
        time.sleep(0.02)
        first_use.tell("fastnet: a line of its own\n")
        first_use.tell("fastnet: compiling ...")
        first_use.tell(" done\n")

    threads = [threading.Thread(target=first_use.apart, args=[work]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = ["fastnet: compiling ...", "fastnet: a line of its own", "fastnet: compiling ... done"]
    assert sorted(sys.stderr.getvalue().splitlines()) == sorted(lines * 3)


def test_every_part_has_a_name():
    assert set(codes.COMPONENT_NAMES) == set(codes.COMPONENTS)


def test_a_second_network_has_nothing_to_load(monkeypatch):
    fn.Network([fn.Dense(1)]).build(2).predict([[1.0, 2.0]])
    monkeypatch.setattr("fastnet.execution.cpu.device.apart", None)
    fn.Network([fn.Dense(1)]).build(2).predict([[1.0, 2.0]])
