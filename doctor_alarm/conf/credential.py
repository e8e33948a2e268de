# SPDX-License-Identifier: Apache-2.0
"""Options of the credentials in action URLs."""
from oslo_config import cfg

GROUP = 'credential'
OPTS = [
    cfg.StrOpt('key_file', help="""
File with the keys that encrypt the credentials in action URLs in the database:
one Fernet key per line, the first one encrypts, all of them decrypt. The API
and the notifiers need the same keys, the evaluator none. Write it with
"doctor-alarm-manage credential create-key". Without it the API refuses actions
that carry credentials; only the standalone service makes one of its own, next
to its database. A change counts at once, without a restart.
"""),
]
