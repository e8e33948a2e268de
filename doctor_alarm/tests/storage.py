# SPDX-License-Identifier: Apache-2.0
"""A database with the schema of the service."""

import os

import fixtures
from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm import credential
from doctor_alarm.db import api
from doctor_alarm.db import schema


class Storage(fixtures.Fixture):
    """A configuration and the migrated database that it names.

    :ivar conf: to override options on
    :ivar db: the Database
    :ivar key_file: where the keys of credentials are
    """

    def __init__(self, url=None):
        self.url = url

    def _setUp(self):
        folder = self.useFixture(fixtures.TempDir()).path
        if self.url is None:
            self.url = 'sqlite:///' + os.path.join(folder, 'test.db')
        self.conf = cfg.ConfigOpts()
        project_conf.register(self.conf)
        self.conf([], project=project_conf.PROJECT, default_config_files=[],
                  default_config_dirs=[])
        self.conf.set_override('connection', self.url, group='database')
        self.key_file = os.path.join(folder, 'keys')
        with open(self.key_file, 'w') as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(credential.new_key())
        self.conf.set_override(
            'key_file', self.key_file, group='credential')
        # Receivers of tests are on this host.
        self.conf.set_override(
            'allowed_networks', ['127.0.0.0/8'], group='notifier')
        self.db = api.Database(self.conf)
        self.addCleanup(self.db.dispose)
        schema.sync(self.db)
