"""The engine as a program: `python -m online_runtime.engine ARGS`, or this file run from a workstation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_PACKAGE = "stillframe_engine"  # the package's name when its folder was copied and this file is run


def main(argv: Sequence[str] | None = None) -> int:
    """Run the engine until it is told to stop; the exit code: 0 stopped, 1 failed, 2 bad arguments."""
    from .arguments import parse
    from .errors import BadArgument
    from .serving import run

    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
    except BadArgument as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return run(arguments)


def _run_as_script() -> int:
    """Import the folder of this file as a package, whatever its name, and run that package's main."""
    folder = Path(__file__).absolute().parent
    # Not the folder itself: its `nodes` or `server` would be taken for the modules that plugins mean.
    sys.path[:] = [str(folder.parent), *(entry for entry in sys.path if entry != str(folder))]
    spec = spec_from_file_location(_PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is not the engine's folder")
    package = module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    spec.loader.exec_module(package)
    from importlib import import_module

    code: int = import_module(f"{_PACKAGE}.main").main()
    return code


if __name__ == "__main__":
    sys.exit(_run_as_script())
