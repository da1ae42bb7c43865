"""Where data sets lie on this computer."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from nn.data.download import Remote, fetch


def data_folder(root: str | os.PathLike[str] | None) -> str:
    """The folder given; else the one that TENSORGRAPH_DATA names; else the user's folder for such things."""
    if root is None:
        root = os.environ.get("TENSORGRAPH_DATA") or os.path.join(_cache(), "tensorgraph")
    return os.path.abspath(os.path.expanduser(root))


def _cache() -> str:
    if sys.platform == "win32":
        return os.environ.get("LOCALAPPDATA") or os.path.expanduser(r"~\AppData\Local")
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches")
    return os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")


class Place:
    """Where a data set may lie: in one of the folders below root, or in root itself.

    Arguments:
        owner: the data set, for messages. folders: the first is the one where files are fetched to.
    """

    def __init__(self, owner: str, root: str | os.PathLike[str] | None, folders: tuple[str, ...]) -> None:
        self.owner = owner
        self.root = data_folder(root)
        self.folders = folders
        self.everywhere = (*(os.path.join(self.root, name) for name in folders), self.root)

    def find(self, files: list[list[str]]) -> list[str] | None:
        """The paths of files that lie in one of the folders together; for each there are the names that it may have."""
        for folder in self.everywhere:
            paths = [[path for name in names if os.path.isfile(path := os.path.join(folder, name))] for names in files]
            if all(paths):
                return [first for first, *_ in paths]
        return None

    def files(
        self, files: list[list[str]], mirrors: Sequence[str], remote: Sequence[Remote], download: bool, hint: str = ""
    ) -> list[str]:
        """The same, fetched if that is wished and needed; an error if they are nowhere."""
        if paths := self.find(files):
            return paths
        if download:
            folder = os.path.join(self.root, self.folders[0])
            fetch(self.owner, folder, mirrors, remote)
            return [os.path.join(folder, file.name) for file in remote]
        raise FileNotFoundError(
            f"{self.owner}: there is no {' with '.join(names[0] for names in files)} in {self.root}, "
            f"nor in {' or '.join(self.folders)} there{hint}. {self.owner}(download=True) fetches it; root= or the "
            "environment variable TENSORGRAPH_DATA names another folder"
        )
