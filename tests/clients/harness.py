"""What the Python clients share; what they say to scripts/real-clients is told in README.md."""

import os
import sys
import time
import traceback

PORT = int(os.environ["VARVE_PORT"])
URL = f"redis://127.0.0.1:{PORT}"
_failed = False


def check(name):
    """A decorator: runs the check at once and says how it went."""
    def run(function):
        global _failed
        try:
            function()
            print("check", name, flush=True)
        except Exception:
            _failed = True
            print("failed", name, "::", " | ".join(traceback.format_exc().strip().splitlines()[-4:]), flush=True)
    return run


def equal(got, wanted):
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")


def eventually(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come to be in time")
        time.sleep(0.02)


def restart_server(how):
    """how: 'term' or 'kill'. Returns when the server is back."""
    print("restart", how, flush=True)
    sys.stdin.readline()


def done(version):
    print("version", version, flush=True)
    sys.exit(1 if _failed else 0)
