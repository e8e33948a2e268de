# SPDX-License-Identifier: Apache-2.0
"""Who may do what, by default.

A member of the project may what a reader may, and an admin everything: also
where the roles come as they are sent (``noauth``), without Keystone's
implied ones.
"""
from oslo_policy import policy

#: Who may act on the alarms of every project.
IS_ADMIN = 'context_is_admin'

ADMIN = 'rule:context_is_admin'
PROJECT_MEMBER = 'role:member and project_id:%(project_id)s'
PROJECT_READER = (
    '(role:reader or role:member) and project_id:%(project_id)s')
MEMBER_OR_ADMIN = '(%s) or (%s)' % (ADMIN, PROJECT_MEMBER)
READER_OR_ADMIN = '(%s) or (%s)' % (ADMIN, PROJECT_READER)
#: Detectors of faults report for whoever owns what failed.
MONITOR_OR_ADMIN = 'role:monitor or (%s)' % ADMIN

SCOPE = ['project']

RULES = [policy.RuleDefault(
    name=IS_ADMIN, check_str='role:admin',
    description='Who may act on what belongs to any project.')]
