# SPDX-License-Identifier: Apache-2.0
"""Options of oslo.db that the service reads."""
from oslo_db import options

GROUP = 'database'
OPTS = options.database_opts
