"""A page opened in headless Chromium, measured and used by keyboard, through kaleido's own driver.

    seen = asyncio.run(use_page(page, ["Tab", "ArrowDown"], focus="select", read="document.title"))
    seen = asyncio.run(look_at(page, width=390, read=PROBE))

Real key events go in through the DevTools protocol; what comes back is what a script reads, and
whatever the page asked the network for or complained of.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from choreographer import Browser

KEYS = {"Tab": 9, "Enter": 13, "ArrowUp": 38, "ArrowDown": 40}
LOAD_SECONDS = 120
COMPLAINTS = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
PHONE_PIXELS = 600
"""A narrower window is a phone's: without a scrollbar that takes room."""


@dataclass(frozen=True)
class Seen:
    """What happened on a page."""

    values: tuple[Any, ...]
    """What the script read at first and after each key."""
    requests: tuple[str, ...]
    """Addresses that the page asked for, itself and data inside it left out."""
    complaints: tuple[str, ...]
    """Exceptions, console messages and log entries."""


@dataclass
class OpenedPage:
    """A page that is loaded."""

    tab: Any
    address: str
    requested: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def read(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        sent = {"expression": f"JSON.stringify({expression})", "returnByValue": True}
        answer = await self.tab.send_command("Runtime.evaluate", params=sent)
        assert "exceptionDetails" not in answer["result"], answer["result"]
        return json.loads(answer["result"]["result"].get("value", "null"))

    async def press(self, key: str, *, pause: float = 0.3) -> None:
        """Press a key out of `KEYS`, and give the page some seconds."""
        for kind in ("keyDown", "keyUp"):
            pressed = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
            if key == "Enter" and kind == "keyDown":
                pressed["text"] = "\r"
            await self.tab.send_command("Input.dispatchKeyEvent", params=pressed)
        await asyncio.sleep(pause)

    def seen(self, values: Sequence[Any]) -> Seen:
        """All that happened."""
        own = (self.address, "data:", "blob:")
        outside = tuple(url for url in self.requested if not url.startswith(own))
        return Seen(tuple(values), outside, tuple(self.complaints))


@asynccontextmanager
async def opened(page: Path, *, width: int | None = None) -> AsyncIterator[OpenedPage]:
    """Open a page, in a window of some width.

    Args:
        page: The file.
        width: In pixels; None for the browser's own.
    """
    address = page.resolve().as_uri()
    async with Browser(headless=True) as browser:
        tab = await browser.create_tab("")
        loaded = OpenedPage(tab, address)

        async def requested(event: Any) -> None:
            loaded.requested.append(event["params"]["request"]["url"])

        async def complained(event: Any) -> None:
            loaded.complaints.append(json.dumps(event["params"])[:300])

        for domain in ("Network", "Runtime", "Log", "Page"):
            await tab.send_command(f"{domain}.enable")
        tab.subscribe("Network.requestWillBeSent", requested, repeating=True)
        for event in COMPLAINTS:
            tab.subscribe(event, complained, repeating=True)
        if width is not None:
            window = {
                "width": width, "height": 844, "deviceScaleFactor": 1,
                "mobile": width < PHONE_PIXELS,
            }  # fmt: skip
            await tab.send_command("Emulation.setDeviceMetricsOverride", params=window)
        await tab.send_command("Page.navigate", params={"url": address})
        for _ in range(LOAD_SECONDS * 2):
            state = await loaded.read("[document.URL, document.readyState]")
            if state[0].startswith(address) and state[1] == "complete":
                break
            await asyncio.sleep(0.5)
        yield loaded


async def use_page(page: Path, keys: Sequence[str], *, focus: str, read: str) -> Seen:
    """Open a page, focus an element, press keys.

    Args:
        page: The file.
        keys: Names out of `KEYS`.
        focus: Selector of the element that has the focus first.
        read: JavaScript expression that is read before and after each key.
    """
    async with opened(page) as loaded:
        await loaded.read(f"document.querySelector({json.dumps(focus)}).focus()")
        values = [await loaded.read(read)]
        for key in keys:
            await loaded.press(key)
            values.append(await loaded.read(read))
    return loaded.seen(values)


async def look_at(page: Path, *, width: int, read: str) -> Seen:
    """Open a page in a window of some width, open all that is folded, and read one value of it.

    Args:
        page: The file.
        width: In pixels.
        read: JavaScript expression.
    """
    async with opened(page, width=width) as loaded:
        await loaded.read("document.querySelectorAll('details').forEach((d) => d.open = true)")
        # figures take their new width in the next frames
        await asyncio.sleep(1.0)
        value = await loaded.read(read)
    return loaded.seen([value])


async def walk(page: Path, *, width: int, read: str, most: int = 200) -> Seen:
    """Press Tab from the top of a page until the focus leaves it, reading a value at each stop.

    Args:
        page: The file.
        width: Of the window, in pixels.
        read: JavaScript expression; a null ends the walk.
        most: Stops.
    """
    values: list[Any] = []
    async with opened(page, width=width) as loaded:
        for _ in range(most):
            await loaded.press("Tab", pause=0.02)
            value = await loaded.read(read)
            if value is None:
                break
            values.append(value)
    return loaded.seen(values)
