"""Headless Chromium for the tests of the reports, driven through ChromeDriver's own protocol."""

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--allow-file-access-from-files",
)
MODULES = Path(
    os.environ.get("NOCICAST_NODE_MODULES", Path(__file__).parents[1] / "browser" / "node_modules")
)
"""Where `make browser` puts what judges pages."""
AXE = MODULES / "axe-core" / "axe.min.js"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing() -> str:
    """What of the browser is not installed; empty where all is there."""
    names = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    packages = "Debian: apt-get install chromium chromium-driver"
    return f"no {' and no '.join(names)} ({packages})" if names else ""


class Browser:
    """A page in a real browser."""

    def __init__(self, address: str) -> None:
        self._address = address
        options = {"args": list(_FLAGS)}
        capabilities = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        found = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{found['sessionId']}"

    def _call(self, method: str, path: str, content: Any = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self._address + path, data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.loads(answer.read())["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()[:2000]) from error

    def close(self) -> None:
        self._call("DELETE", self._session)

    def open(self, page: Path) -> None:
        self._call("POST", f"{self._session}/url", {"url": page.resolve().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of a function in the page and give what it returns."""
        content = {"script": script, "args": list(arguments)}
        return self._call("POST", f"{self._session}/execute/sync", content)

    def run_async(self, script: str) -> Any:
        """Run a script whose last argument is called with the result."""
        content = {"script": script, "args": []}
        return self._call("POST", f"{self._session}/execute/async", content)

    def tool(self, command: str, **parameters: Any) -> Any:
        """Send a command of the DevTools protocol."""
        content = {"cmd": command, "params": parameters}
        return self._call("POST", f"{self._session}/goog/cdp/execute", content)

    def screen(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Give the page a width and a colour scheme."""
        self.tool(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tool("Emulation.setEmulatedMedia", features=[scheme])

    def find(self, css: str) -> str:
        content = {"using": "css selector", "value": css}
        return str(self._call("POST", f"{self._session}/element", content)[_ELEMENT])

    def click(self, css: str) -> None:
        """Click as a person does: scrolled into view, with the pointer."""
        self._call("POST", f"{self._session}/element/{self.find(css)}/click", {})

    def click_at(self, css: str, across: float, down: float) -> None:
        """Click inside an element, at shares of its width and height from its middle."""
        self.run(f"document.querySelector({json.dumps(css)}).scrollIntoView({{block: 'center'}})")
        box = self.run(
            f"const b = document.querySelector({json.dumps(css)}).getBoundingClientRect();"
            "return [b.left, b.top, b.width, b.height]"
        )
        x, y = int(box[0] + box[2] * across), int(box[1] + box[3] * down)
        steps = [
            {"type": "pointerMove", "x": x, "y": y, "duration": 0, "origin": "viewport"},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        pointer = {"type": "pointer", "id": "mouse", "actions": steps}
        self._call("POST", f"{self._session}/actions", {"actions": [pointer]})

    def type(self, css: str, text: str) -> None:
        element = self.find(css)
        self._call("POST", f"{self._session}/element/{element}/clear", {})
        self._call("POST", f"{self._session}/element/{element}/value", {"text": text})

    def until(self, condition: str, seconds: float = 20) -> None:
        """Wait until an expression holds in the page."""
        end = time.monotonic() + seconds
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"never came true: {condition}"
            time.sleep(0.05)

    def violations(self) -> list[list[str]]:
        """Find what axe holds against the open page: impact, rule, one element of each."""
        self.run(AXE.read_text(encoding="utf-8"))
        found: list[list[str]] = self.run_async(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations"
            ".map(v => [v.impact, v.id, v.nodes[0].html.slice(0, 200)])))"
        )
        return found

    def complaints(self) -> list[str]:
        """What the browser's console holds against the page."""
        found = self._call("POST", f"{self._session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in found]

    def requests(self) -> list[str]:
        """Addresses that were asked for since the last call."""
        found = self._call("POST", f"{self._session}/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in found]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def picture(self, path: Path) -> None:
        """Write what the whole page looks like."""
        size = self.tool("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.tool("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser() -> Iterator[Browser]:
    """Start ChromeDriver and a browser, and end both."""
    with subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as driver:
        try:
            assert driver.stdout is not None
            port = 0
            for line in driver.stdout:
                if "successfully on port" in line:
                    port = int(line.strip().rstrip(".").rsplit(" ", 1)[1])
                    break
            assert port, "chromedriver did not start"
            page = Browser(f"http://127.0.0.1:{port}")
            try:
                yield page
            finally:
                page.close()
        finally:
            driver.terminate()
            driver.wait(30)
