# SPDX-License-Identifier: Apache-2.0
"""The schema of the database and its versions."""
from __future__ import annotations

import logging
import pathlib

from alembic import command
from alembic import config as alembic_config
from alembic.runtime import migration
from alembic import script
import sqlalchemy as sa

from doctor_alarm.db import api as db_api
from doctor_alarm import exception

LOG = logging.getLogger(__name__)

_MIGRATIONS = pathlib.Path(__file__).with_name('migrations')


def sync(db: db_api.Database, revision: str = 'head') -> None:
    """Bring the schema up to a revision; does nothing if it is there."""
    with db.engine.connect() as conn:
        command.upgrade(config(conn), revision)
        conn.commit()


def version(db: db_api.Database) -> str | None:
    """Return the revision of the schema; ``None``: there is no schema."""
    with db.reader() as conn:
        return migration.MigrationContext.configure(
            conn).get_current_revision()


def head() -> str | None:
    """Return the revision that this code is written for."""
    return script.ScriptDirectory(str(_MIGRATIONS)).get_current_head()


def knows(revision: str) -> bool:
    """Whether this code has a revision; a newer version may have more."""
    return any(found.revision == revision for found in script.ScriptDirectory(
        str(_MIGRATIONS)).walk_revisions())


def check(db: db_api.Database) -> None:
    """Make sure that the schema is the one of this code.

    A database that is away now is no reason not to start.

    :raises ConfigurationError: it is another one, or there is none
    """
    try:
        found = version(db)
    except exception.ConfigurationError:
        raise
    except Exception as exc:
        if not db_api.is_transient(exc):
            raise
        LOG.warning('The database does not answer yet: %s',
                    type(exc).__name__)
        return
    if found != head():
        raise exception.ConfigurationError(
            where='[database] connection',
            reason='the schema is %s, not %s: run doctor-alarm-manage db '
                   'sync' % (found or 'missing', head()))


def config(conn: sa.Connection) -> alembic_config.Config:
    """Return alembic's configuration, for its commands on a connection."""
    found = alembic_config.Config()
    # A percent sign in the path would be taken for an interpolation.
    found.set_main_option(
        'script_location', str(_MIGRATIONS).replace('%', '%%'))
    found.attributes['connection'] = conn
    return found
