# SPDX-License-Identifier: Apache-2.0
"""Options of the quotas, where Aodh has them."""
from oslo_config import cfg

GROUP = 'api'
OPTS = [
    cfg.IntOpt('project_alarm_quota', default=-1, min=-1, help="""
Alarms that a project may have; -1: any number. Set it where projects are not
trusted to be modest. An admin can give one project another limit over the API.
"""),
    cfg.IntOpt('user_alarm_quota', default=-1, min=-1, help="""
Alarms that a user may have in all projects together; -1: any number. Set it
where many users share a project.
"""),
    cfg.IntOpt('alarm_max_actions', default=-1, help="""
Actions that each list of an alarm may have; zero and less: as many as the
schema takes, which is 100. Set it where one event shall not call many.
"""),
]
