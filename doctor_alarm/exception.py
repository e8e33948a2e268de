# SPDX-License-Identifier: Apache-2.0
"""Domain errors. They are mapped to HTTP in one place, ``api/errors.py``."""


class DoctorAlarmException(Exception):
    """Base of all errors of the service; ``msg_fmt`` takes the keywords."""

    msg_fmt = 'An unknown error occurred.'

    def __init__(self, message: str | None = None, **kwargs: object) -> None:
        self.kwargs = kwargs
        super().__init__(message or self.msg_fmt % kwargs)


class Invalid(DoctorAlarmException):
    """Input that the caller has to change."""

    msg_fmt = '%(reason)s'


class TooLarge(Invalid):
    """Input that is larger than what is taken."""


class InvalidEvent(Invalid):
    msg_fmt = 'Invalid event: %(reason)s.'


class EventTooLarge(InvalidEvent, TooLarge):
    msg_fmt = 'Invalid event: %(reason)s.'


class InvalidSignature(InvalidEvent):
    msg_fmt = ('Its message_signature is not made with [publisher] '
               'telemetry_secret.')


class InvalidRule(Invalid):
    msg_fmt = 'Invalid rule: %(reason)s.'


class NoKey(Invalid):
    """Credentials that could not be encrypted, and so are not stored."""

    msg_fmt = ('Action %(action).200s carries credentials, which are stored '
               'encrypted only: [credential] key_file is not set')


class Sealed(DoctorAlarmException):
    """Credentials that can not be decrypted."""

    msg_fmt = ('the credentials of the action can not be decrypted: no key '
               'of [credential] key_file fits')


class ConfigurationError(DoctorAlarmException):
    """A configuration or definition that stops the service at start."""

    msg_fmt = '%(where)s: %(reason)s'


class NotFound(DoctorAlarmException):
    msg_fmt = '%(what)s %(id)s not found'


class AlarmNotFound(NotFound):
    msg_fmt = 'Alarm %(id)s not found'


class NotAuthorized(DoctorAlarmException):
    msg_fmt = 'Not Authorized to access %(aspect)s %(id)s'


class Forbidden(DoctorAlarmException):
    msg_fmt = 'RBAC Authorization Failed'


class OverQuota(Forbidden):
    msg_fmt = 'Alarm quota exceeded for user %(user)s on project %(project)s'


class PublishFailed(DoctorAlarmException):
    """A message that the broker did not confirm; the caller still has it."""

    msg_fmt = 'Could not publish to topic %(topic)s: %(reason)s'


class PublishInDoubt(PublishFailed):
    """A message that the broker may have, though it did not say so."""


class QueueMismatch(ConfigurationError):
    msg_fmt = ('Queue or exchange of topic %(topic)s exists with other '
               'settings on %(where)s: %(reason)s')


class PreconditionFailed(DoctorAlarmException):
    msg_fmt = 'Alarm %(id)s is not the one of If-Match any more: read it again'


class NotGivenUp(DoctorAlarmException):
    """A delivery that nobody can send again."""

    msg_fmt = ('Delivery %(id)s is %(status)s: only dead, expired and '
               'superseded ones can be sent again')


class Duplicate(DoctorAlarmException):
    msg_fmt = '%(what)s %(id)s exists already'
