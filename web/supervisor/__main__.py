"""`python -m web.supervisor --home HOME`.

What `stillframe up` becomes once the home and its settings are known to be good.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from web.errors import WebError
from web.problem import problem_of
from web.supervisor.supervisor import Addresses, Serving, Supervisor


def main() -> int:
    chosen = _arguments()

    def serving(now: Serving) -> None:
        _tell(now, as_json=chosen.json)
        if chosen.open:
            import webbrowser

            webbrowser.open(now.url)

    addresses = Addresses(chosen.listen, chosen.port, chosen.gateway_port)
    try:
        Supervisor(
            chosen.home, addresses, settings=chosen.settings, stop_instances=chosen.stop_instances
        ).run(serving)
    except KeyboardInterrupt:
        return 0
    except WebError as error:
        return _complain(error, as_json=chosen.json)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stillframe up")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--settings", type=Path)
    parser.add_argument("--listen", default=Addresses.listen)
    parser.add_argument("--port", type=int, default=Addresses.port)
    parser.add_argument("--gateway-port", type=int, default=Addresses.gateway_port)
    parser.add_argument("--stop-instances", action="store_true")
    parser.add_argument("--open", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _tell(now: Serving, *, as_json: bool) -> None:
    lines = [f"Stillframe serves at {now.url} (started in {now.seconds:.1f} s)"]
    lines.append(f"Online calls go to   {now.gateway_url}/api/predict/SERVICE/prompt")
    if now.admin_password:
        lines.append(f"Sign in as admin, password {now.admin_password}")
        lines.append("The password is shown this once and stored hashed only.")
    lines.append("Ctrl-C ends it. Instances go on running.")
    sys.stdout.write(json.dumps(asdict(now)) + "\n" if as_json else "\n".join(lines) + "\n")
    sys.stdout.flush()


def _complain(error: WebError, *, as_json: bool) -> int:
    problem = problem_of(error)
    sentence = json.dumps(problem.as_json(), default=str) if as_json else problem.detail
    (sys.stdout if as_json else sys.stderr).write(f"{sentence}\n")
    return problem.exit_code


if __name__ == "__main__":
    sys.exit(main())
