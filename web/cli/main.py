"""The command `stillframe`.

Each noun is one file, and each command imports its use case only when it is called.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from web.cli import (
    account,
    base,
    demo,
    deploy,
    deployment,
    deps,
    doctor,
    instance,
    model,
    plugin,
    project,
    service,
    snapshot,
    up,
    workflow,
    workstation,
)

# Help as plain text: rich would cost a quarter of a second at each --help.
app = typer.Typer(
    name="stillframe",
    help="Freeze a workstation into an immutable snapshot and roll it out to online instances.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: stillframe exit-codes. A traceback instead of a sentence: --debug, anywhere.",
)
up.add_to(app)
demo.add_to(app)
for noun in (base, project, plugin, deps, model, workstation, workflow, snapshot):
    noun.add_to(app)
deploy.add_to(app)
for noun in (deployment, service, instance, account):
    noun.add_to(app)
doctor.add_to(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: runs one command and exits with a code from the table in web/verdicts.py."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug, as_json = "--debug" in words, "--json" in words
    words = [word for word in words if word != "--debug"]
    try:
        code = app(words, prog_name="stillframe", standalone_mode=False)
    except KeyboardInterrupt:
        sys.exit(_say_interrupted())
    except Exception as error:  # noqa: BLE001  # the last door: every error becomes a sentence and a code, never silence
        sys.exit(_say(error, debug=debug, as_json=as_json))
    sys.exit(code if isinstance(code, int) else 0)


def _say(error: Exception, *, debug: bool, as_json: bool) -> int:
    from web.cli.complaint import complain

    return complain(error, debug=debug, as_json=as_json)


def _say_interrupted() -> int:
    from web.verdicts import INTERRUPTED

    sys.stderr.write("Interrupted. What was already accepted goes on.\n")
    return INTERRUPTED


if __name__ == "__main__":
    main()
