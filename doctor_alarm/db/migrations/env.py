# SPDX-License-Identifier: Apache-2.0
"""Runs the migrations on the connection that ``db.schema`` gives."""
from alembic import context

from doctor_alarm.db import models

# NOTE: batch mode lets SQLite alter tables: it copies them.
context.configure(
    connection=context.config.attributes['connection'],
    target_metadata=models.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
