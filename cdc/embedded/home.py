"""The directory of one server.

<directory>/      0700 (0711 for root, whose server runs as `nobody`)
    data/         0700, owned by the server's user
    password      0600, owned by the server's user: with `trust` every local account would be a superuser
    log           of the present server; log.old is the one before
    lock          held while a server is being started
"""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import shutil
import stat
from io import FileIO
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from cdc.embedded.binaries import is_ours
from cdc.errors import ConfigurationError


def default_directory() -> Path:
    """Where the server lives unless told otherwise: root's below /var/lib, a user's in their data home."""
    if os.geteuid() == 0:
        return Path("/var/lib/cdc/postgres")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "cdc" / "postgres"


class Postmaster(NamedTuple):
    """What a running server says about itself."""

    pid: int
    port: int
    ready: bool


class Home:
    """The files of one server. `account` is who owns them when that is not us.

    Root never writes below `data`, where the server's user could put links in its way.
    """

    def __init__(self, directory: Path, account: pwd.struct_passwd | None) -> None:
        self.directory = directory.absolute()
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self.password = self.directory / "password"
        self._account = account

    def prepare(self) -> None:
        """Create the directory and what is missing above it.

        Raises:
            ConfigurationError: it cannot be created, is not ours alone, or is out of the server's reach.
        """
        path = [self.directory, *self.directory.parents]
        try:
            for folder in reversed(path):
                if not folder.exists():
                    folder.mkdir(exist_ok=True)
                    folder.chmod(0o711 if self._account else 0o700)
        except OSError as error:
            raise ConfigurationError(
                f"{self.directory} cannot be created: {error.strerror}.", hint="Name another directory in CDC_DATA_DIR."
            ) from None
        if not is_ours(self.directory):
            raise ConfigurationError(
                f"{self.directory} is not a directory that belongs to this user and that only this user may write to.",
                hint="Name one of your own, or one that does not exist yet, in CDC_DATA_DIR.",
            )
        closed = [folder for folder in path if self._account and not folder.stat().st_mode & stat.S_IXOTH]
        if self._account and closed:
            raise ConfigurationError(
                f"Postgres runs as the user {self._account.pw_name}, who cannot pass through {closed[-1]}.",
                hint=f"Name another directory in CDC_DATA_DIR, such as {default_directory()}.",
            )

    def lock(self) -> FileIO | None:
        """The right to start the server, until the file is closed; None while another process has it."""
        file = FileIO(self.directory / "lock", "w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    def new_data(self) -> Path:
        """An empty folder beside `data` for initdb to fill, and a new password: half a job must not pass for data."""
        data = self.directory / "data.new"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        self.password.unlink(missing_ok=True)
        self.password.touch(mode=0o600)
        self.password.write_text(secrets.token_urlsafe(24))
        if self._account:
            for path in (data, self.password):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        return data

    def url(self, port: int, database: str) -> str:
        """How a database on that port is reached.

        Raises:
            ConfigurationError: the password is gone.
        """
        try:
            password = self.password.read_text().strip()
        except FileNotFoundError:
            raise ConfigurationError(
                f"The password file {self.password} is gone.",
                hint=f"Put it back, or remove {self.data} to begin with an empty server.",
            ) from None
        return f"postgresql://postgres:{password}@127.0.0.1:{port}/{quote(database, safe='')}"

    def postmaster(self) -> Postmaster | None:
        """What postmaster.pid says; None when there is none, or when its process is gone or another user's.

        Line 1 is the pid, line 4 the port, line 8 the status (Postgres: src/include/utils/pidfile.h).
        """
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            pid = int(lines[0])
            os.kill(pid, 0)
        except (OSError, ValueError, IndexError):
            return None
        if len(lines) < 8:
            return Postmaster(pid, 0, ready=False)
        return Postmaster(pid, int(lines[3]), ready=lines[7].strip() == "ready")

    def new_log(self) -> Path:
        """An empty log; the one before is kept as log.old."""
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".old"))
        self.log.touch(mode=0o600)
        return self.log

    def log_end(self) -> str:
        """The last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-8:])
