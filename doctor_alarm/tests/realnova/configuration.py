# SPDX-License-Identifier: Apache-2.0
"""What the parts of the deployment are told about each other."""

import configparser
import dataclasses
import io
import pathlib
import uuid

from doctor_alarm.tests.services import process

HOSTS = ('fakehost1', 'fakehost2')
CONTROLLER = 'controller'
REGION = 'RegionOne'
PASSWORD = 'secret'
USERS = ('nova', 'placement')

# nova reads these as templates and fills in what its own configuration says,
# so that prepared databases fit every broker and database server.
CELL_TRANSPORT_URL = '{scheme}://{username}:{password}@{hostname}:{port}/{path}'
CELL_DATABASE_URL = CELL_TRANSPORT_URL + '?{query}'
CELL0_DATABASE_URL = CELL_TRANSPORT_URL + '_cell0?{query}'

Sections = dict[str, dict[str, object]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Deployment:
    """Addresses of one deployment."""

    transport_url: str
    databases: dict[str, str]
    quorum: bool = False
    ports: dict[str, int] = dataclasses.field(default_factory=lambda: {
        name: process.free_port()
        for name in ('identity', 'compute', 'placement', 'stub')})

    def url(self, name: str, path: str = '') -> str:
        return 'http://%s:%d%s' % (process.HOST, self.ports[name], path)

    @property
    def amqp_url(self) -> str:
        """The transport URL as kombu writes it."""
        return self.transport_url.replace('rabbit:', 'amqp:', 1)

    @property
    def auth_url(self) -> str:
        return self.url('identity', '/v3')

    @property
    def endpoints(self) -> dict[str, str]:
        """The catalogue: URLs by type of service."""
        return {'identity': self.auth_url,
                'compute': self.url('compute', '/v2.1'),
                'placement': self.url('placement'),
                'image': self.url('stub'),
                'network': self.url('stub')}

    def credentials(self, username: str, project_name: str) -> dict[str, str]:
        """What keystoneauth's password plugin needs."""
        return {'auth_url': self.auth_url, 'username': username,
                'password': PASSWORD, 'project_name': project_name,
                'user_domain_id': 'default', 'project_domain_id': 'default'}


def node_id(host: str) -> str:
    """The identity of a compute node, which nova wants to be told once."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, host))


def render(sections: Sections) -> str:
    parser = configparser.RawConfigParser(default_section='')
    parser.read_dict(sections)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def keystone(deployment: Deployment, directory: pathlib.Path) -> Sections:
    return {
        'DEFAULT': {'use_stderr': True},
        'database': {'connection': deployment.databases['keystone']},
        'token': {'provider': 'fernet', 'expiration': 86400},
        'fernet_tokens': {'key_repository': directory / 'fernet-keys'},
        'identity': {'password_hash_rounds': 4},
        'cache': {'enabled': True, 'backend': 'oslo_cache.dict'},
        'oslo_messaging_notifications': {'driver': 'noop'},
    }


def placement(deployment: Deployment, directory: pathlib.Path) -> Sections:
    return {
        'DEFAULT': {'use_stderr': True},
        'api': {'auth_strategy': 'keystone'},
        'placement_database': {
            'connection': deployment.databases['placement']},
        'keystone_authtoken': _service_user(deployment, 'placement') | {
            'www_authenticate_uri': deployment.auth_url},
    }


def nova(deployment: Deployment, directory: pathlib.Path,
         host: str) -> Sections:
    user = _service_user(deployment, 'nova')
    sections = {
        'DEFAULT': {
            'my_ip': process.HOST,
            'host': host,
            'state_path': directory,
            'transport_url': deployment.transport_url,
            'use_stderr': True,
            'report_interval': 10,
            'service_down_time': 60,
            # unlike "fake.FakeDriver" it survives a restart of the compute
            'compute_driver': 'fake.FakeDriverWithoutFakeNodes',
            'vif_plugging_is_fatal': False,
            'vif_plugging_timeout': 0,
        },
        'api': {'auth_strategy': 'keystone'},
        'wsgi': {'api_paste_config': directory / 'api-paste.ini'},
        'keystone_authtoken': user | {
            'www_authenticate_uri': deployment.auth_url,
            'service_token_roles_required': True},
        'service_user': user | {'send_service_user_token': True},
        'placement': user,
        'glance': {'endpoint_override': deployment.url('stub')},
        'neutron': user | {'endpoint_override': deployment.url('stub')},
        'cinder': user,
        'compute': {'heal_instance_info_cache_interval': -1},
        'notifications': {
            'notify_on_state_change': 'vm_and_task_state',
            'notification_format': 'both'},
        'oslo_messaging_notifications': {'driver': 'messagingv2'},
        'oslo_concurrency': {'lock_path': directory / 'lock'},
        'conductor': {'workers': 1},
        'scheduler': {'workers': 1},
        'filter_scheduler': {'track_instance_changes': False},
        'vnc': {'enabled': False},
    }
    if deployment.quorum:
        sections['oslo_messaging_rabbit'] = {'rabbit_quorum_queue': True}
    if host == CONTROLLER:      # computes have no business in the databases
        sections |= {
            'database': {'connection': deployment.databases['nova']},
            'api_database': {'connection': deployment.databases['nova_api']}}
    return sections


def _service_user(deployment, name):
    return deployment.credentials(name, 'service') | {
        'auth_type': 'password', 'region_name': REGION}
