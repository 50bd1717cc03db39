"""uv, run as a subprocess with a limit. A person's own uv settings hold; those of a folder do not."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass

PLAN_LIMIT_SECONDS = 600.0
INSTALL_LIMIT_SECONDS = 3600.0  # torch and its CUDA packages over a slow line
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_REASON_LINES = 12
# Paths, locale, proxies, certificates, compilers, and uv's settings but those that would change the answer.
_PASSED_ON = re.compile(
    r"PATH|HOME|LANG|LC_\w+|TMPDIR|TZ|USER|XDG_C(?:ACHE|ONFIG)_HOME|NETRC|SSL_CERT_\w+|(?i:\w+_proxy)|PIP_FIND_LINKS"
    r"|CC|CXX|C(PP|XX)?FLAGS|LDFLAGS|CUDA_\w+|LD_LIBRARY_PATH|UV_(?!CONSTRAINT|OVERRIDE|EXCLUDE|PYTHON)\w+"
)


@dataclass(frozen=True)
class UvResult:
    """What one run of uv gave. `output` is its report (uv writes it to stderr), without credentials."""

    ok: bool
    output: str

    @property
    def reason(self) -> str:
        """uv's explanation of a failure, in a few lines without frames and symbols."""
        lines = [line.strip(" ×│├╰▶─").strip() for line in self.output.splitlines()]
        told = [
            line for line in lines if line and not line.startswith(("Using Python", "Resolved ", "Prepared "))
        ]
        return " ".join(told[-_REASON_LINES:]) or "uv gave no reason."


def run_uv(*arguments: str, limit_seconds: float = PLAN_LIMIT_SECONDS) -> UvResult:
    """Run uv with these arguments; a run over the limit is ended and counts as failed."""
    import uv

    try:
        done = subprocess.run(
            [uv.find_uv_bin(), *arguments, "--color", "never", "--no-progress"],
            cwd="/",  # so that no uv.toml or pyproject.toml above some folder is found
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return UvResult(False, f"uv did not end within {limit_seconds:g} s and was stopped.")
    text = done.stdout.decode("utf-8", errors="replace")
    return UvResult(done.returncode == 0, _CREDENTIALS.sub("", text))


def _environment() -> dict[str, str]:
    """What uv, and the build scripts of packages that it runs, see of this process: no secret of ours."""
    environment = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    if "PIP_FIND_LINKS" in environment and "UV_FIND_LINKS" not in environment:
        # pip separates by spaces, uv by commas; a machine that tells pip should not have to say it twice.
        environment["UV_FIND_LINKS"] = ",".join(environment["PIP_FIND_LINKS"].split())
    # Links would share inodes with the cache of uv: an edit here would change other workstations. Its "clone"
    # falls back to links; its "copy" shares blocks where the file system can.
    environment["UV_LINK_MODE"] = "copy"
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    return environment
