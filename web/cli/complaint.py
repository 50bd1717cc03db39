"""An error at the command line.

One red sentence on stderr, or its problem as JSON, and the exit code of the table.
"""

from __future__ import annotations

import sys
import traceback

import typer

from web.errors import Declined
from web.plain import to_json
from web.problem import problem_of
from web.verdicts import USAGE


def complain(error: Exception, *, debug: bool, as_json: bool) -> int:
    """Print `error` and return its exit code. `debug` prints the traceback as well."""
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort):
        return _complain_of(Declined(), debug=debug, as_json=as_json)
    if isinstance(error, typer.TyperException):
        return _usage(error, as_json=as_json)
    return _complain_of(error, debug=debug, as_json=as_json)


def _usage(error: typer.TyperException, *, as_json: bool) -> int:
    if as_json:
        detail = str(error) or "The command line is wrong."
        document = {"type": "urn:stillframe:problem:usage", "title": "Usage", "status": 400, "detail": detail}
        sys.stdout.write(to_json(document) + "\n")
    else:
        show = getattr(error, "show", None)  # the usage line, the sentence and where help is
        show() if callable(show) else sys.stderr.write(f"{error}\n")
    return USAGE


def _complain_of(error: Exception, *, debug: bool, as_json: bool) -> int:
    problem = problem_of(error)
    if debug:
        traceback.print_exception(error)
    if as_json:
        sys.stdout.write(to_json(problem) + "\n")
    else:
        sys.stderr.write(_red(problem.detail) + "\n")
    return problem.exit_code


def _red(sentence: str) -> str:
    return f"\033[31m{sentence}\033[0m" if sys.stderr.isatty() else sentence
