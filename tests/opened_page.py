"""A page opened in headless Chromium and used by keyboard, through kaleido's own browser driver.

    seen = asyncio.run(use_page(page, ["Tab", "ArrowDown"], focus="select", read="document.title"))

Real key events go in through the DevTools protocol; what comes back is what a script reads after
each, and whatever the page asked the network for or complained of.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from choreographer import Browser

KEYS = {"Tab": 9, "Enter": 13, "ArrowUp": 38, "ArrowDown": 40}
LOAD_SECONDS = 120
COMPLAINTS = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")


@dataclass(frozen=True)
class Seen:
    """What happened on a page."""

    values: tuple[Any, ...]
    """What the script read at first and after each key."""
    requests: tuple[str, ...]
    """Addresses that the page asked for, itself and data inside it left out."""
    complaints: tuple[str, ...]
    """Exceptions, console messages and log entries."""


async def use_page(page: Path, keys: Sequence[str], *, focus: str, read: str) -> Seen:
    """Open a page, focus an element, press keys.

    Args:
        page: The file.
        keys: Names out of `KEYS`.
        focus: Selector of the element that has the focus first.
        read: JavaScript expression that is read before and after each key.
    """
    address = page.resolve().as_uri()
    requests: list[str] = []
    complaints: list[str] = []
    async with Browser(headless=True) as browser:
        tab = await browser.create_tab("")

        async def evaluated(expression: str) -> Any:
            sent = {"expression": f"JSON.stringify({expression})", "returnByValue": True}
            answer = await tab.send_command("Runtime.evaluate", params=sent)
            return json.loads(answer["result"]["result"].get("value", "null"))

        async def requested(event: Any) -> None:
            requests.append(event["params"]["request"]["url"])

        async def complained(event: Any) -> None:
            complaints.append(json.dumps(event["params"])[:300])

        for domain in ("Network", "Runtime", "Log", "Page"):
            await tab.send_command(f"{domain}.enable")
        tab.subscribe("Network.requestWillBeSent", requested, repeating=True)
        for event in COMPLAINTS:
            tab.subscribe(event, complained, repeating=True)
        await tab.send_command("Page.navigate", params={"url": address})
        for _ in range(LOAD_SECONDS * 2):
            if await evaluated("[document.URL, document.readyState]") == [address, "complete"]:
                break
            await asyncio.sleep(0.5)
        await evaluated(f"document.querySelector({json.dumps(focus)}).focus()")
        values = [await evaluated(read)]
        for key in keys:
            for kind in ("keyDown", "keyUp"):
                pressed = {
                    "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]
                }  # fmt: skip
                if key == "Enter" and kind == "keyDown":
                    pressed["text"] = "\r"
                await tab.send_command("Input.dispatchKeyEvent", params=pressed)
            await asyncio.sleep(0.3)
            values.append(await evaluated(read))
    outside = tuple(url for url in requests if url != address and not url.startswith("data:"))
    return Seen(tuple(values), outside, tuple(complaints))
