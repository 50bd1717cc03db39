"""git repositories, through GitPython: clone, find a ref, check out, tell what was edited.

No hook, file system monitor or credential prompt ever runs, and every call has a limit.
"""

from __future__ import annotations

import difflib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from workstation.errors import CloneFailed, RefNotFound

if TYPE_CHECKING:
    from git.exc import GitCommandError

NETWORK_LIMIT_SECONDS = 900.0  # the largest plugin repositories hold gigabytes of example pictures
LOCAL_LIMIT_SECONDS = 120.0
DIFF_MAX_BYTES = 64 * 1024
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false")
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "false",
    "SSH_ASKPASS": "false",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_GIT_URL = re.compile(r"(?:https?|ssh|git|file)://|[\w.-]+@[\w.-]+:")
# How many fields stand before the path in each kind of line of `git status --porcelain=v2`.
_FIELDS = {"1": 8, "2": 9, "u": 10, "?": 1, "!": 1}
_BYPRODUCTS = re.compile(r"(?:^|/)__pycache__(?:/|$)|\.pyc$")


@dataclass(frozen=True)
class RepositoryFacts:
    """Where a checkout came from, where it stands, and which files were edited or added since."""

    remote: str | None
    commit: str | None
    branch: str | None
    edits: tuple[str, ...]


def is_git_url(source: str) -> bool:
    """Whether `source` reads as the address of a repository rather than as a path."""
    return bool(_GIT_URL.match(source))


def without_credentials(url: str) -> str:
    """`url` without user and password, for records and messages; an ssh user name is no secret and stays."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https") and "@" in parts.netloc:
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    if parts.password:
        return url.replace(f":{parts.password}@", "@", 1)
    return url


def clone(url: str, place: Path) -> None:
    """Clone `url` into the new folder `place`. Raises CloneFailed, and leaves no folder then."""
    # Hard links into a local source would change its files' ctimes, which every backup of it would notice.
    try:
        _git(
            place.parent,
            "clone",
            "--quiet",
            "--no-hardlinks",
            "--",
            url,
            str(place),
            limit_seconds=NETWORK_LIMIT_SECONDS,
        )
        head(place)
        # A token in the address would be frozen with the checkout; credential helpers are the place for it.
        if without_credentials(url) != url:
            _git(place, "remote", "set-url", "origin", without_credentials(url))
    except _failed() as error:
        shutil.rmtree(place, ignore_errors=True)
        raise CloneFailed(without_credentials(url), _reason(error, url)) from None


def obtain(source: str | Path, place: Path, ref: str | None) -> str:
    """Clone a URL or a local repository into `place` at `ref`; returns the commit.

    A local checkout without a `ref` comes as it stands: its commit, and its edits on top.
    """
    url = str(source)
    clone(url, place)
    if ref is not None or not isinstance(source, Path) or not (source / ".git").exists():
        return checkout(place, ref, url)
    commit = head(source)
    branch = facts(source).branch
    checkout(place, branch if branch and _remote_branch(place, branch) else commit, url)
    _copy_edits(source, place)
    return commit


def fetch(place: Path) -> None:
    """Fetch all branches and tags of the checkout's origin. Raises CloneFailed."""
    try:
        _git(place, "fetch", "--quiet", "--tags", "--force", "origin", limit_seconds=NETWORK_LIMIT_SECONDS)
    except _failed() as error:
        url = facts(place).remote or str(place)
        raise CloneFailed(url, _reason(error, url)) from None


def checkout(place: Path, ref: str | None, url: str) -> str:
    """Put the checkout at `ref` (branch, tag, commit; None: the remote's default branch) with its submodules.

    Returns the commit. Raises RefNotFound with near names, or CloneFailed for a submodule.
    """
    shown = without_credentials(url)
    branch = _remote_branch(place, ref)
    if branch is not None:
        _git(place, "checkout", "--quiet", "-B", branch, f"refs/remotes/origin/{branch}")
    else:
        commit = _resolve(place, ref or "HEAD")
        if commit is None:
            raise RefNotFound(shown, ref or "HEAD", _near(place, ref or "HEAD"))
        _git(place, "checkout", "--quiet", "--detach", commit)
    if (place / ".gitmodules").is_file():
        try:
            _git(
                place,
                "submodule",
                "update",
                "--init",
                "--recursive",
                "--quiet",
                limit_seconds=NETWORK_LIMIT_SECONDS,
            )
        except _failed() as error:
            raise CloneFailed(f"a submodule of {shown}", _reason(error, url)) from None
    return head(place)


def head(place: Path) -> str:
    """The commit that is checked out."""
    return _git(place, "rev-parse", "--verify", "--quiet", "HEAD^{commit}").strip()


def facts(place: Path) -> RepositoryFacts:
    """Remote (without credentials), commit, branch, edited files. Raises GitCommandError when broken."""
    try:
        remote = _git(place, "config", "--get", "remote.origin.url").strip()
    except _failed():
        remote = ""  # no remote is a fact, not a failure
    heads, edited = _status(place)
    commit, branch = heads.get("branch.oid"), heads.get("branch.head")
    return RepositoryFacts(
        without_credentials(remote) if remote else None,
        None if commit == "(initial)" else commit,
        None if branch == "(detached)" else branch,
        tuple(path for path, _ in edited),
    )


def edits(place: Path) -> tuple[str, ...]:
    """Paths that differ from the commit, untracked ones included; Python's byproducts are no edits."""
    return tuple(path for path, _ in _status(place)[1])


def _status(place: Path) -> tuple[dict[str, str], list[tuple[str, bool]]]:
    """The branch headers of git's status, and each edited path with whether git does not track it."""
    listed = _git(
        *(place, "status", "--porcelain=v2", "--branch", "-z"), "--untracked-files=all", "--no-renames"
    )
    heads: dict[str, str] = {}
    edited: list[tuple[str, bool]] = []
    for entry in listed.split("\0"):
        if entry.startswith("# "):
            name, _, value = entry[2:].partition(" ")
            heads[name] = value
        elif entry:
            path = entry.split(" ", _FIELDS[entry[0]])[-1]
            if not _BYPRODUCTS.search(path):
                edited.append((path, entry[0] == "?"))
    return heads, edited


def local_commits(place: Path) -> tuple[str, ...]:
    """Commits that were made here and are in no branch or tag of the remote, as "commit abc1234"."""
    listed = _git(
        place, "rev-list", "--abbrev-commit", "--max-count=20", "HEAD", "--not", "--remotes", "--tags"
    )
    return tuple(f"commit {commit}" for commit in listed.split())


def diff_of_edits(place: Path, max_bytes: int = DIFF_MAX_BYTES) -> tuple[str, bool]:
    """The edits as a unified diff of at most `max_bytes`, and whether it was cut; new files stand whole."""
    text = _git(place, "diff", "--no-color", "--no-ext-diff", "--no-textconv", "HEAD")
    data = text.encode("utf-8", errors="surrogateescape")
    cut = False
    for path, untracked in _status(place)[1]:
        if untracked and len(data) <= max_bytes:
            added, part = _as_added(place, path, max_bytes - len(data))
            data, cut = data + added, cut or part
    return data[:max_bytes].decode("utf-8", errors="replace"), cut or len(data) > max_bytes


def _as_added(place: Path, path: str, room: int) -> tuple[bytes, bool]:
    """A file that git does not know, as a diff would add it: at most `room` bytes, and whether it is cut."""
    file = place / path
    head = f"diff --git a/{path} b/{path}\nnew file\n".encode("utf-8", errors="surrogateescape")
    if file.is_symlink() or not file.is_file():  # a repository inside has its own history
        return head, False
    with file.open("rb") as source:
        data = source.read(room + 1)
    if b"\0" in data[:8000]:
        return head + b"Binary file\n", False
    lines = data[:room].splitlines(keepends=True)
    return head + b"".join(b"+" + line.rstrip(b"\r\n") + b"\n" for line in lines), len(data) > room


def _copy_edits(source: Path, place: Path) -> None:
    """A clone holds what is committed; what was edited there (ignored files not) is copied after it."""
    for path in edits(source):
        origin, target = source / path, place / path
        if target.is_symlink() or target.is_file():
            target.unlink()
        elif target.is_dir():
            shutil.rmtree(target)
        if origin.is_dir() and not origin.is_symlink():  # a repository inside: git names the folder only
            shutil.copytree(origin, target, symlinks=True)
        elif origin.is_symlink() or origin.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(origin, target, follow_symlinks=False)


def _remote_branch(place: Path, ref: str | None) -> str | None:
    if ref is None:
        name = "refs/remotes/origin/HEAD"
        try:
            return _git(place, "symbolic-ref", "--quiet", name).strip().removeprefix("refs/remotes/origin/")
        except _failed():
            return None
    return ref if _verify(place, f"refs/remotes/origin/{ref}") else None


def _resolve(place: Path, ref: str) -> str | None:
    if ref.startswith("-"):
        return None
    found = _verify(place, f"refs/tags/{ref}") or (
        _verify(place, ref) if _COMMIT.fullmatch(ref) or ref == "HEAD" else None
    )
    if found is None and _COMMIT.fullmatch(ref) and len(ref) >= 40:
        # A commit that no branch reaches any more: some servers still give it.
        try:
            _git(place, "fetch", "--quiet", "origin", ref, limit_seconds=NETWORK_LIMIT_SECONDS)
        except _failed():
            return None
        return _verify(place, ref)
    return found


def _verify(place: Path, ref: str) -> str | None:
    try:
        return _git(
            place, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"
        ).strip()
    except _failed():
        return None


def _near(place: Path, ref: str) -> list[str]:
    listed = _git(place, "for-each-ref", "--format=%(refname)", "refs/remotes/origin", "refs/tags")
    names = {name.removeprefix("refs/remotes/origin/").removeprefix("refs/tags/") for name in listed.split()}
    return difflib.get_close_matches(ref, sorted(names - {"HEAD"}), n=3, cutoff=0.4)


def _git(place: Path, *command: str, limit_seconds: float = LOCAL_LIMIT_SECONDS) -> str:
    import git

    output = git.Git(str(place)).execute(
        ["git", *_SAFE, *command],
        env=_ENVIRONMENT,
        kill_after_timeout=limit_seconds,
        strip_newline_in_stdout=False,
        start_new_session=True,  # no terminal: ssh cannot ask either
    )
    return str(output)


def _failed() -> type[GitCommandError]:
    from git.exc import GitCommandError

    return GitCommandError


def _reason(error: GitCommandError, url: str) -> str:
    """git's own words, on one line, without credentials."""
    text = str(error.stderr or error).removeprefix("\n  stderr: ").strip().strip("'")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:", "Timeout:"))] or lines
    return " ".join(fatal[:3]).replace(url, without_credentials(url)).rstrip(".") or "git gave no reason"
