"""The configuration: keys and values, read from the user's properties file."""

from __future__ import annotations

import os
from pathlib import Path

from mantid.kernel._boost import ArgumentError, std_vector_str

_PLUGIN_KEYS = ("python.plugins.directories", "user.python.plugins.directories")


class ConfigServiceImpl:
    """Keys and values; those of a file named by MANTIDPROPERTIES are read last."""

    def __init__(self) -> None:
        self._values = {
            "Q.convention": "Inelastic",
            "datasearch.directories": "",
            "defaultsave.directory": "",
            "default.facility": "SNS",
            "default.instrument": "",
            "python.plugins.directories": "",
            "pythonscripts.directories": "",
            "user.python.plugins.directories": "",
        }
        extra = os.environ.get("MANTIDPROPERTIES")
        if extra and Path(extra).is_file():
            for line in Path(extra).read_text(encoding="utf-8").splitlines():
                key, found, value = line.partition("=")
                if found and not line.lstrip().startswith("#"):
                    self[key.strip()] = value.strip()

    def __getitem__(self, key: str) -> str:
        return self.getString(key)

    def __setitem__(self, key: str, value: str) -> None:
        self.setString(key, value)

    def __contains__(self, key: str) -> bool:
        return self.hasProperty(key)

    def getString(self, key: str, use_cache: bool = True) -> str:
        """Return a value, empty if there is none; directories that do not exist are left out."""
        value = self._values.get(key, "")
        if key in _PLUGIN_KEYS:
            return ";".join(folder for folder in value.split(";") if folder and Path(folder).is_dir())
        return value

    def setString(self, key: str, value: str) -> None:
        """Set a value for this process."""
        if not isinstance(value, str):
            raise ArgumentError("Python argument types in ConfigServiceImpl.setString did not match C++ signature")
        self._values[key] = value

    def hasProperty(self, rootName: str) -> bool:
        """Return whether there is such a key."""
        return rootName in self._values

    def keys(self) -> list[str]:
        """Return all keys."""
        return std_vector_str(self._values)

    def getDataSearchDirs(self) -> list[str]:
        """Return the folders that data files are looked for in."""
        return std_vector_str(folder for folder in self._values["datasearch.directories"].split(";") if folder)

    def setDataSearchDirs(self, searchDirs: str | list[str]) -> None:
        """Set the folders that data files are looked for in."""
        folders = searchDirs.split(";") if isinstance(searchDirs, str) else searchDirs
        self._values["datasearch.directories"] = ";".join(folders)

    def appendDataSearchDir(self, path: str) -> None:
        """Add a folder that data files are looked for in."""
        self.setDataSearchDirs([*self.getDataSearchDirs(), path])


config = ConfigServiceImpl()
