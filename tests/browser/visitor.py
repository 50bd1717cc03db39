"""One person with a browser of their own, and what that browser did behind their back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, WebSocket
from playwright.sync_api import Error as PlaywrightError

LIMIT_MS = 60_000  # of each wait: test machines are loaded
INSIDE = ("data:", "blob:", "about:", "chrome-extension:")  # addresses that are no calls


class Visitor:
    """A browser profile with one page. `url` is the door's address, without a slash at its end."""

    def __init__(self, browser: Browser, url: str, options: Mapping[str, Any]) -> None:
        self.url = url.rstrip("/")
        self.requests: list[str] = []
        self.failures: list[tuple[int, str]] = []  # answers of 400 and more: status, address
        self.console: list[str] = []  # errors and warnings
        self.errors: list[str] = []  # exceptions that no script caught
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(LIMIT_MS)
        self.context.on("request", self._requested)
        self.context.on("response", self._answered)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("websocket", self._joined)

    def go(self, path: str) -> Page:
        """Open `path` of the door."""
        self.page.goto(self.url + path)
        return self.page

    def until(self, expression: str, limit_seconds: float = LIMIT_MS / 1000) -> Any:
        """The first truthy value of a JavaScript expression, asked five times a second.

        Playwright's own wait evaluates text within the page, which a Content-Security-Policy forbids.
        """
        deadline = time.monotonic() + limit_seconds
        while not (found := self._value(expression)):
            assert time.monotonic() < deadline, f"{expression} did not come within {limit_seconds:g} s"
            self.page.wait_for_timeout(200)
        return found

    def _value(self, expression: str) -> Any:
        try:
            return self.page.evaluate(expression)
        except PlaywrightError as problem:
            if "Execution context was destroyed" in str(problem):  # the page went to another, or to itself
                return None
            raise

    def shoot(self, folder: Path, name: str) -> None:
        """Keep a picture of what is seen."""
        self.page.screenshot(path=folder / f"{name}.png")

    @property
    def outside(self) -> list[str]:
        """Addresses of other origins that the browser called or tried to call; none are allowed."""
        return [address for address in self.requests if not self._is_inside(address)]

    def close(self) -> None:
        self.context.close()

    def _is_inside(self, address: str) -> bool:
        return address.startswith(INSIDE) or urlsplit(address).netloc == urlsplit(self.url).netloc

    def _requested(self, request: Request) -> None:
        self.requests.append(request.url)

    def _joined(self, socket: WebSocket) -> None:
        self.requests.append(socket.url)

    def _answered(self, response: Response) -> None:
        # A first 401 is how HTTP credentials are asked for, and the browser then answers by itself.
        if response.status >= 400 and response.status != 401:
            self.failures.append((response.status, response.url))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.console.append(f"{message.type}: {message.text}")
