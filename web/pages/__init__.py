"""The console: one file a page. `projects.py` is the model for all; machinery in `console/`, pieces in
`parts/`.

A page is a module of this folder; it is found by itself, and its entry in the navigation comes with it:

    @console_page("/projects/{project}/deployments", title="deployments.title", nav="deployments")
    async def deployments(page: Page) -> None:
        page_header("deployments.title", page.project)
        await page.live(draw_table, read_table, page.project, on=("control",))

- *Texts*: `say("deployments.title")` or `say("deployments.by", name=...)`. Each text stands in English and
  Chinese in `texts/FILE.toml`, where the key's first word is the file. A test finds missing and unused ones.
- *Live*: `await page.live(draw, load, *arguments, on=TOPICS)`. `load(here, *arguments)` runs in a thread,
  is shared by everybody who sees the same, and returns frozen values; `draw(value)` is called again only
  when the value is another one. Topics: "control", "jobs", "projects", "models", `project_topic(name)`; it
  also looks once a second. Forms and whatever keeps what a reader typed stand outside of live parts.
- *Reading once*: `await page.read(load, *arguments)`. *Acting*: `await perform("deployment.cancel",
  subject, call)` runs the use case in a thread when the reader's role allows that action
  (`web/signin/rights.py`), writes the audit log, shows what went wrong and gives None then, else
  `Done(value)`. `page.may("deployment.cancel")` says whether to offer it.
- *Buttons*: `action_button("deploy.start", handler)`; it turns while `handler` runs and takes no second
  click.
- *Menus* and other handlers: wrap them as `steady(handler)`, so that a live part that is drawn anew
  meanwhile does not take the ground from under them. `action_button` does it by itself.
- *Errors*: an error that a page or a load raises is shown as a card with its sentence, the rest stays. To
  show one yourself: `error_card(error)`, or `show_error(error)` as a dialog.
- *Confirm* what cannot be undone: `if await confirmed("projects.remove-title", "projects.remove-sentence",
  name=...)`.
- Text from outside (names, logs) goes into elements as text: `tag("span", name)`, `ui.label`. Never
  `ui.html`.
- Classes for the look stand in `static/console.css`; colours only as its variables. Times are
  `moment(when)`: the browser shows them in the reader's zone.
"""
