"""Calling an online service: its endpoint and tokens, ready-made calls, and a place to try them."""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nicegui import ui
from nicegui.element import Element

from publisher.db.keys import TokenView
from publisher.errors import ServiceNotFound
from web.calls import Answer, Result
from web.installation import Installation
from web.pages.console.acting import perform
from web.pages.console.markers import CONTROL
from web.pages.console.page import Page, console_page, current_page, say
from web.pages.parts.button import action_button
from web.pages.parts.chip import chip
from web.pages.parts.code import code_block, inline_code
from web.pages.parts.dialogs import confirmed
from web.pages.parts.error_card import error_card
from web.pages.parts.headings import section
from web.pages.parts.markup import tag
from web.pages.parts.media import media_tile
from web.pages.parts.moments import duration_text, moment
from web.pages.parts.progress import ProgressLine
from web.pages.parts.secret import show_secret
from web.pages.parts.service_head import nothing_online, service_head
from web.pages.parts.table import Column, table
from web.services import caller_for, endpoint
from web.workflows import exported, saved_workflows

FIELD = "outlined dense"
METHODS = ("GET", "POST")
RUN_LIMIT_SECONDS = 600.0
MOST_SHOWN = 64 * 1024  # bytes of an answer that are shown as text
EXAMPLE = {"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}}}


@dataclass
class Call:
    """A call that is being put together. The token is kept in this page only."""

    token: str = ""
    method: str = "GET"
    path: str = "/queue"
    body: str = ""
    workflow: str | None = None


@dataclass(frozen=True)
class Picture:
    """A file that a workflow made, as an address that holds its bytes."""

    name: str
    data_url: str


@dataclass(frozen=True)
class Outcome:
    """A workflow that was run online."""

    result: Result
    pictures: tuple[Picture, ...] = field(repr=False)


@console_page("/projects/{project}/service/invocation", title="invocation.title")
async def invocation(page: Page) -> None:
    """Endpoint, tokens, examples, debugging."""
    service_head(page, "invocation.title", "invocation.sentence")
    where = await page.read(endpoint, page.project)
    tokens = await page.read(tokens_of, page.project)
    if tokens is None or where is None:
        nothing_online(page)
        return
    with tag("p", "", "sf-row"):
        tag("span", say("service.endpoint"), "sf-quiet")
        inline_code(where)
    with section("invocation.tokens"):
        await page.live(_draw_tokens, tokens_of, page.project, on=(CONTROL,))
    with section("invocation.examples"):
        _examples(where)
    with section("invocation.debugging"):
        _debugging(page, await page.read(_names, page.project))


def tokens_of(here: Installation, project: str) -> tuple[TokenView, ...] | None:
    """Tokens that are good; None before the first deployment."""
    try:
        return tuple(one for one in here.publisher.tokens(project) if one.revoked_at is None)
    except ServiceNotFound:
        return None


def _names(here: Installation, project: str) -> tuple[str, ...]:
    return tuple(one.name for one in saved_workflows(here, project) if one.format is not None)


def _draw_tokens(tokens: tuple[TokenView, ...] | None) -> None:
    page = current_page()
    if page.may("token.create"):
        with tag("div", "", "sf-row"):
            name = ui.input(say("invocation.token-name")).props(FIELD)
            action_button("invocation.create", lambda: _create(page, str(name.value)), icon="key")
    if not tokens:
        tag("p", say("invocation.no-tokens"), "sf-quiet")
        return
    columns = (
        Column[TokenView]("invocation.token-name", lambda one: one.name),
        Column[TokenView]("invocation.token-id", lambda one: tag("span", one.id, "sf-mono")),
        Column[TokenView]("invocation.token-since", lambda one: moment(one.created_at)),
        Column[TokenView]("", lambda one: _revoke_button(page, one), "sf-right"),
    )
    table(tokens, columns, caption="invocation.tokens")


async def _create(page: Page, name: str) -> None:
    made = await perform(
        "token.create",
        page.project,
        lambda: page.here.publisher.create_token(page.project, name.strip() or page.person.name),
    )
    if made is not None:
        show_secret("invocation.created", made.value[1], name=made.value[0].name)


def _revoke_button(page: Page, one: TokenView) -> None:
    if page.may("token.revoke"):
        action_button("invocation.revoke", lambda: _revoke(page, one), kind="quiet")


async def _revoke(page: Page, one: TokenView) -> None:
    if await confirmed("invocation.revoke-title", "invocation.revoke-sentence", name=one.name):
        await perform(
            "token.revoke",
            f"{page.project} {one.id}",
            lambda: page.here.publisher.revoke_token(page.project, one.id),
        )


def _examples(where: str) -> None:
    with tag("div", "", "sf-stack"):
        for title, text in (
            ("invocation.curl", _curl(where)),
            ("invocation.python", _python(where)),
            ("invocation.python-async", _python_async(where)),
        ):
            with tag("details"):
                tag("summary", say(title))
                code_block(text)


def _curl(where: str) -> str:
    body = json.dumps({"prompt": EXAMPLE})
    return (
        f"curl -H 'Authorization: TOKEN' -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}' {where}/prompt\n\n"
        f"curl -H 'Authorization: TOKEN' {where}/history/PROMPT_ID\n"
        f"curl -H 'Authorization: TOKEN' -o picture.png \\\n"
        f"  '{where}/view?filename=NAME.png&subfolder=&type=output'"
    )


def _python(where: str) -> str:
    return f'''import json, time, urllib.request

URL, TOKEN = "{where}", "TOKEN"

def call(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {{"Authorization": TOKEN, "Content-Type": "application/json"}}
    with urllib.request.urlopen(urllib.request.Request(URL + path, data, headers)) as answer:
        return json.load(answer)

prompt_id = call("/prompt", {{"prompt": json.load(open("workflow.json"))}})["prompt_id"]
while not (history := call(f"/history/{{prompt_id}}")):
    time.sleep(0.5)
print(history[prompt_id]["outputs"])'''


def _python_async(where: str) -> str:
    socket = where.replace("http", "ws", 1)
    return f'''import asyncio, json, aiohttp

URL, TOKEN = "{where}", "TOKEN"

async def main():
    async with aiohttp.ClientSession(headers={{"Authorization": TOKEN}}) as session:
        async with session.ws_connect("{socket}/ws?clientId=me") as events:
            body = {{"prompt": json.load(open("workflow.json")), "client_id": "me"}}
            async with session.post(URL + "/prompt", json=body) as answer:
                prompt_id = (await answer.json())["prompt_id"]
            async for event in events:
                if event.type is aiohttp.WSMsgType.TEXT:
                    told = event.json()
                    print(told["type"])
                    if told["type"] in ("execution_success", "execution_error", "execution_interrupted"):
                        break
        async with session.get(f"{{URL}}/history/{{prompt_id}}") as answer:
            print((await answer.json())[prompt_id]["outputs"])

asyncio.run(main())'''


def _debugging(page: Page, names: tuple[str, ...]) -> None:
    call = Call()
    with tag("div", "", "sf-card sf-stack"):
        tag("p", say("invocation.debugging-help"), "sf-quiet")
        ui.input(say("invocation.token"), password=True, password_toggle_button=True).props(
            f"{FIELD} autocomplete=off"
        ).classes("sf-field").bind_value(call, "token")
        if names:
            with tag("div", "", "sf-row"):
                chosen = ui.select(list(names), label=say("invocation.workflow")).props(FIELD)
                chosen.classes("sf-select").bind_value(call, "workflow")
                action_button("invocation.run", lambda: _run(page, call, answer), kind="primary")
        with tag("div", "", "sf-row"):
            ui.select(list(METHODS), label=say("invocation.method")).props(FIELD).bind_value(call, "method")
            ui.input(say("invocation.path")).props(FIELD).classes("sf-field").bind_value(call, "path")
        ui.textarea(say("invocation.body")).props(f"{FIELD} autogrow input-class=sf-mono").bind_value(
            call, "body"
        )
        with tag("div", "", "sf-actions"):
            action_button("invocation.send", lambda: _send(page, call, answer), icon="send")
        answer = tag("div", "", "sf-stack", aria_live="polite")


async def _send(page: Page, call: Call, place: Element) -> None:
    await _shown(page, place, sent, call, draw=_draw_answer)


async def _run(page: Page, call: Call, place: Element) -> None:
    await _shown(page, place, ran, call, draw=_draw_outcome)


async def _shown(page: Page, place: Element, act: Any, call: Call, *, draw: Any) -> None:
    place.clear()
    with place:
        ProgressLine(say("invocation.waiting"))
    try:
        found = await page.read(act, page.project, call)
    except Exception as error:  # noqa: BLE001  (shown where the answer would be)
        place.clear()
        with place:
            error_card(error)
        return
    place.clear()
    with place:
        draw(found)


def sent(here: Installation, project: str, call: Call) -> Answer:
    """The answer to one call, whatever its status. Raises EngineUnreachable, PlatformNotRunning."""
    body = call.body.encode() if call.body.strip() else None
    path = call.path if call.path.startswith("/") else f"/{call.path}"
    return caller_for(here, project, call.token).send(call.method, path, body)


def ran(here: Installation, project: str, call: Call) -> Outcome:
    """A saved workflow run online, with the files it made. Raises what a call raises."""
    workflow: Mapping[str, Any] = exported(here, project, call.workflow or "")
    caller = caller_for(here, project, call.token)
    result = caller.run(workflow, limit_seconds=RUN_LIMIT_SECONDS)
    pictures = []
    for file in result.files:
        kind = mimetypes.guess_type(file.filename)[0] or "application/octet-stream"
        data = base64.b64encode(caller.fetch(file)).decode()
        pictures.append(Picture(file.filename, f"data:{kind};base64,{data}"))
    return Outcome(result, tuple(pictures))


def _draw_answer(answer: Answer) -> None:
    with tag("div", "", "sf-row"):
        good = answer.status < 400
        chip("ok" if good else "failed", str(answer.status))
        tag("span", duration_text(answer.seconds), "sf-quiet")
        tag("span", answer.content_type, "sf-quiet")
    if answer.content_type.startswith("image/"):
        data = base64.b64encode(answer.body).decode()
        with tag("div", "", "sf-tiles"):
            media_tile(f"data:{answer.content_type};base64,{data}", "answer.png")
        return
    code_block(_words(answer))


def _words(answer: Answer) -> str:
    text = answer.body[:MOST_SHOWN].decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def _draw_outcome(outcome: Outcome) -> None:
    result = outcome.result
    with tag("div", "", "sf-row"):
        chip("done", say("invocation.done", took=duration_text(result.seconds)))
        tag("span", say("invocation.answered", instance=result.instance, snapshot=result.snapshot))
        tag("span", result.prompt_id, "sf-quiet sf-mono")
    with tag("div", "", "sf-tiles"):
        for picture in outcome.pictures:
            media_tile(picture.data_url, picture.name)
