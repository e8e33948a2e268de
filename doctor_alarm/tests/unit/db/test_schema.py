# SPDX-License-Identifier: Apache-2.0

from alembic import autogenerate
from alembic import command
from alembic.runtime import migration
from alembic import script
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.db import schema
from doctor_alarm.tests import base
from doctor_alarm.tests import storage


class Walk:
    """What the migrations promise on every database."""

    def setUp(self):
        super().setUp()
        self.db = self.useFixture(storage.Storage(self.url())).db

    def url(self):
        return None

    def move(self, step, revision):
        with self.db.engine.connect() as conn:
            step(schema.config(conn), revision)
            conn.commit()

    def tables(self):
        with self.db.reader() as conn:
            return set(sa.inspect(conn).get_table_names())

    def test_models_and_migrations_agree(self):
        with self.db.reader() as conn:
            context = migration.MigrationContext.configure(
                conn, opts={'compare_type': True})
            self.assertEqual([], autogenerate.compare_metadata(
                context, models.metadata))

    def test_down_and_up_again(self):
        with self.db.reader() as conn:
            revisions = [r.revision for r in script.ScriptDirectory.
                         from_config(schema.config(conn)).walk_revisions()]

        for _ in revisions:
            self.move(command.downgrade, '-1')

        self.assertIsNone(schema.version(self.db))
        self.assertEqual({'alembic_version'}, self.tables())

        for revision in reversed(revisions):
            self.move(command.upgrade, '+1')
            self.assertEqual(revision, schema.version(self.db))

        self.assertEqual(set(models.metadata.tables) | {'alembic_version'},
                         self.tables())

    def test_sync_twice_changes_nothing(self):
        schema.sync(self.db)

        self.assertEqual(schema.head(), schema.version(self.db))


class SqliteWalkTest(Walk, base.TestCase):
    pass
