"""A headless Chromium, driven over its debugging pipe (JSON messages that end in a zero byte; nothing listens on a port)."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]


def find():
    """The browser's program: $CHROME, or the first one on the path, or None."""
    return os.environ.get("CHROME") or next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page of a browser. `problems` holds every console message, uncaught exception and failed load; `requests` every
    address that was asked for."""

    def __init__(self, program, patience=float(os.environ.get("PAGE_PATIENCE", "300"))):
        self.patience = patience
        self.folder = tempfile.mkdtemp(prefix="page-check-")
        ours, theirs = os.pipe(), os.pipe()

        def take_over():
            # The browser reads commands from 3 and writes answers to 4.
            read, write = os.dup(ours[0]), os.dup(theirs[1])
            os.dup2(read, 3)
            os.dup2(write, 4)

        options = ["--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
        options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        options += ["--disable-dev-shm-usage", f"--user-data-dir={self.folder}"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")
        self.process = subprocess.Popen(
            [program, *options, "about:blank"],
            preexec_fn=take_over, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self.to, self.back, self.buffer, self.last = ours[1], theirs[0], b"", 0
        self.session, self.loaded, self.problems, self.requests = None, set(), [], []
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(held["targetId"] for held in targets if held["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Network", "Log"]:
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def receive(self, until):
        """The next message; an error after the moment `until`."""
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.back], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError(f"the browser said nothing for {self.patience} s")
            piece = os.read(self.back, 1 << 20)
            if not piece:
                raise EOFError("the browser has gone away")
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(message)
        self.note(message)
        return message

    def note(self, message):
        kind, held = message.get("method"), message.get("params", {})
        if kind is None:
            return
        if kind == "Page.lifecycleEvent" and held["name"] == "load":
            self.loaded.add(held["loaderId"])
        elif kind == "Network.requestWillBeSent":
            self.requests.append(held["request"]["url"])
        elif kind == "Network.loadingFailed":
            self.problems.append(f"load failed: {held['errorText']}")
        elif kind == "Runtime.exceptionThrown":
            details = held["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif kind == "Runtime.consoleAPICalled":
            self.problems.append(f"console.{held['type']}: {[item.get('value') for item in held['args']]}")
        elif kind == "Log.entryAdded":
            self.problems.append(f"log: {held['entry']['text']}")

    def call(self, method, **parameters):
        """What a command answers."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        rest = json.dumps(message).encode() + b"\0"
        while rest:
            rest = rest[os.write(self.to, rest):]
        until = time.monotonic() + self.patience
        while True:
            answer = self.receive(until)
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def open(self, path, fragment=""):
        """Opens a file and waits until it is loaded."""
        # Else a new fragment of the page that is open would load nothing.
        self.load("about:blank")
        self.problems.clear()
        self.requests.clear()
        self.load(path.absolute().as_uri() + fragment)

    def load(self, address):
        loader = self.call("Page.navigate", url=address)["loaderId"]
        until = time.monotonic() + self.patience
        while loader not in self.loaded:
            self.receive(until)

    def evaluate(self, script):
        """The value of an expression on the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(f"{script}: {details.get('exception', {}).get('description') or details['text']}")
        return answer["result"].get("value")

    def size(self, width, height, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.frame()

    def scheme(self, name):
        """`light`, `dark`, or what a printer shows: `print`."""
        media = "print" if name == "print" else ""
        features = [] if media else [{"name": "prefers-color-scheme", "value": name}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        self.frame()

    def frame(self):
        """Waits until what was asked for is on the screen."""
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def place(self, script):
        """The middle of an element on the screen, scrolled into view."""
        return self.evaluate(
            f"(() => {{ const node = {script}; node.scrollIntoView({{ block: 'center' }});"
            " const box = node.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )

    def point(self, x, y):
        """Moves the mouse."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, x, y):
        """Clicks with the mouse."""
        self.point(x, y)
        for kind in ["mousePressed", "mouseReleased"]:
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def click(self, script):
        """Clicks in the middle of an element, with the mouse."""
        self.press(*self.place(script))

    KEYS = {"ArrowDown": 40, "ArrowUp": 38, "ArrowLeft": 37, "ArrowRight": 39, "Enter": 13, "Escape": 27, "Tab": 9, "End": 35}

    def key(self, name):
        """Presses a key."""
        for kind in ["rawKeyDown", "keyUp"]:
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=self.KEYS[name])

    def type(self, text):
        self.call("Input.insertText", text=text)

    def picture(self, path):
        """The whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self):
        """The page as it prints."""
        answer = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=False)
        return base64.b64decode(answer["data"])
