"""What is sent to one caller, against a server that takes nothing or has hung up."""

from __future__ import annotations

import asyncio
from typing import Any

from online_runtime.gateway.caller_socket import CallerSocket


async def test_a_caller_that_reads_nothing_is_given_up_at_the_limit() -> None:
    async def stuck(_message: Any) -> None:
        await asyncio.Event().wait()

    caller = CallerSocket(stuck, write_limit_seconds=0.01)
    await asyncio.wait_for(caller.text("hello"), 5)
    assert caller.ended.is_set()


async def test_nothing_is_sent_after_a_close_or_to_a_caller_that_hung_up() -> None:
    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])
        if message.get("text") == "late":
            raise OSError("the caller is gone")

    caller = CallerSocket(send)
    await caller.binary(b"one")
    await caller.close(1012, "come back")
    await caller.text("two")
    assert sent == ["websocket.send", "websocket.close"]
    gone = CallerSocket(send)
    await gone.text("late")
    await gone.text("later")
    assert sent[2:] == ["websocket.send"]
