# SPDX-License-Identifier: Apache-2.0
"""Asks Keystone whether projects exist.

What depends on the answer can not be undone, so nothing but a clear "no"
counts as one: a proxy, a wrong URL and a missing role say "not found", too.
"""
from __future__ import annotations

from typing import Any
import urllib.parse

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ks_exc
from keystoneauth1 import loading
from oslo_config import cfg

from doctor_alarm import exception

GROUP = 'keystone_authtoken'
#: Seconds that Keystone has for an answer, and how often it is asked again.
TIMEOUT = 30
RETRIES = 2

#: As keystonemiddleware has them, which reads the same section.
_OPTS = [cfg.StrOpt('interface', default='internal'),
         cfg.StrOpt('region_name')]


class Unknown(exception.DoctorAlarmException):
    """Keystone does not say whether a project exists."""

    msg_fmt = '%(reason)s'


class Projects:
    """The projects of the cloud."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Find Keystone, and see that it shows a project that there is.

        :raises ConfigurationError: it can not be asked as configured
        :raises Unknown: it does not answer, or not even of our own project
        """
        self._keystone = _adapter(conf)
        own = self._call(self._keystone.get_project_id)
        if not own:
            raise exception.ConfigurationError(
                where='[%s]' % GROUP, reason='project_name is not set')
        if not self.exists(own):
            raise Unknown(reason=(
                'Keystone does not know the project of [%s] itself' % GROUP))

    def exists(self, project_id: str) -> bool:
        """Return whether there is such a project, enabled or not.

        :raises Unknown: Keystone did not say clearly
        :raises Away: and will not say of any other
        """
        answer = self._call(
            self._keystone.get, '/projects/' + urllib.parse.quote(
                project_id, safe=''), raise_exc=False)
        try:
            doc = answer.json()
            if answer.status_code == 200:
                if doc['project']['id'] == project_id:
                    return True
            elif answer.status_code == 404 and project_id:
                error = doc['error']
                said = error['message']
                if (error['code'] == 404 and isinstance(said, str)
                        and project_id in said):
                    return False
        except (ValueError, KeyError, TypeError):
            pass
        if answer.status_code in (401, 429) or answer.status_code >= 500:
            raise Away(reason='Keystone answers %d' % answer.status_code)
        raise Unknown(reason='Keystone answers %d' % answer.status_code)

    @staticmethod
    def _call(function: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except ks_exc.ClientException as exc:
            raise Away(reason='Keystone can not be asked: %s'
                       % ' '.join(str(exc).split())) from exc


class Away(Unknown):
    """Keystone does not answer at all, or not us."""


def _adapter(conf: cfg.ConfigOpts) -> adapter.Adapter:
    loading.register_auth_conf_options(conf, GROUP)
    loading.register_session_conf_options(conf, GROUP)
    conf.register_opts(_OPTS, group=GROUP)
    conf.set_default('timeout', TIMEOUT, group=GROUP)
    try:
        auth = loading.load_auth_from_conf_options(conf, GROUP)
        session = loading.load_session_from_conf_options(
            conf, GROUP, auth=auth)
    except (ks_exc.ClientException, cfg.Error) as exc:
        raise exception.ConfigurationError(
            where='[%s]' % GROUP, reason=str(exc)) from exc
    if auth is None:
        raise exception.ConfigurationError(
            where='[%s]' % GROUP, reason='auth_type is not set')
    options = conf[GROUP]
    return adapter.Adapter(
        session, service_type='identity',
        interface=[options.interface, 'public'],
        region_name=options.region_name, min_version='3',
        max_version='3.latest', connect_retries=RETRIES,
        status_code_retries=RETRIES)
