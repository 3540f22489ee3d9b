"""A real Firefox for the tests of pages, driven over its own Marionette socket; nothing to install but the browser."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Nothing may call home; scripts of the browser's own start page neither.
PREFERENCES = """\
user_pref("marionette.port", {port});
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.page", 0);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("toolkit.telemetry.enabled", false);
"""
KEYS = {"ArrowUp": "\ue013", "ArrowDown": "\ue015", "Enter": "\ue007", "Tab": "\ue004", "Escape": "\ue00c"}


class Firefox:
    """One window of a headless Firefox.

    Parameters
    ----------
    program : str
        The browser.
    profile : Path
        An empty folder.
    """

    def __init__(self, program: str, profile: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (profile / "user.js").write_text(PREFERENCES.format(port=port))
        command = [program, "--headless", "--no-remote", "--marionette", "--profile", str(profile)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._socket = _connected(port, self._process)
        self._stream = self._socket.makefile("rb")
        self._number = 0
        self._receive()  # the greeting
        self.ask("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": False}}})

    def _receive(self) -> Any:
        """Read one message: its length in bytes, a colon, JSON."""
        length = b""
        while (sign := self._stream.read(1)) != b":":
            if not sign:
                raise ConnectionError("Firefox closed the connection")
            length += sign
        return json.loads(self._stream.read(int(length)))

    def ask(self, command: str, parameters: dict[str, Any] | None = None) -> Any:
        """Send a Marionette command and return its result.

        Raises
        ------
        RuntimeError
            If Firefox answers with an error.
        """
        self._number += 1
        text = json.dumps([0, self._number, command, parameters or {}]).encode()
        self._socket.sendall(str(len(text)).encode() + b":" + text)
        _, _, error, result = self._receive()
        if error:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}")
        return result.get("value", result) if isinstance(result, dict) else result

    def open(self, address: str) -> None:
        """Go to an address and wait until it is loaded."""
        self.ask("WebDriver:Navigate", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page, beside its own and past its policy, and return what it returns."""
        return self.ask("WebDriver:ExecuteScript", {"script": script, "args": list(arguments)})

    def wait(self, script: str, seconds: float = 20) -> Any:
        """Wait until a script returns something true, and return it.

        Raises
        ------
        TimeoutError
            If it does not in time.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := self.run(script):
                return found
            time.sleep(0.05)
        raise TimeoutError(f"not true within {seconds} s: {script}")

    def press(self, key: str) -> None:
        """Press and release a key: a sign, or one of :data:`KEYS`."""
        value = KEYS.get(key, key)
        steps = [{"type": kind, "value": value} for kind in ("keyDown", "keyUp")]
        self.ask("WebDriver:PerformActions", {"actions": [{"type": "key", "id": "keys", "actions": steps}]})

    def picture(self) -> bytes:
        """Return the window as PNG."""
        return base64.b64decode(self.ask("WebDriver:TakeScreenshot", {"full": False}))

    def close(self) -> None:
        """End the browser that this object started."""
        with contextlib.suppress(ConnectionError, OSError):
            self.ask("Marionette:Quit", {"flags": ["eForceQuit"]})
        self._socket.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)


def _connected(port: int, process: subprocess.Popen[bytes]) -> socket.socket:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), 60)
        except OSError:
            time.sleep(0.1)
    process.kill()
    raise ConnectionError("Firefox does not answer")


@pytest.fixture(scope="session")
def firefox() -> Iterator[Firefox]:
    """The system's Firefox, headless; skipped, saying why, where there is none."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("no Firefox on the PATH")
    profile = tempfile.mkdtemp(prefix="lmresp-firefox-")
    browser = Firefox(program, Path(profile))
    yield browser
    browser.close()
    shutil.rmtree(profile, ignore_errors=True)
