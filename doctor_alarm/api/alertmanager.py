# SPDX-License-Identifier: Apache-2.0
"""What the alerts of Prometheus Alertmanager become: the operator's rules."""
from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import fnmatch
import logging
import re
from typing import Any

from oslo_config import cfg

from doctor_alarm import document
from doctor_alarm import exception

LOG = logging.getLogger(__name__)

PACKAGED = 'api/data/alertmanager.yaml'
RESOLVED = 'resolved'

#: Where a value may be, besides labels.<name> and annotations.<name>.
_PLACES = ('fingerprint', 'generatorURL', 'receiver', 'externalURL')
_KEYS = ('match', 'firing', 'resolved', 'details')
_LABEL = re.compile(r'\{([A-Za-z_][A-Za-z0-9_]*)\}')


@dataclasses.dataclass(frozen=True, slots=True)
class Says:
    """Type and status of the event; the type may name labels."""

    type: str
    status: str

    def type_of(self, labels: Mapping[str, str]) -> str:
        """Return the event type of an alert with such labels."""
        return _LABEL.sub(
            lambda found: labels.get(found[1]) or 'unknown', self.type)[:255]


@dataclasses.dataclass(frozen=True, slots=True)
class Detail:
    """One detail: its value, or where it is and which part of it counts."""

    name: str
    value: Any = None
    fields: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None

    def find(self, alert: Mapping[str, str]) -> Any:
        """Return the value in an alert, ``None``: there is none.

        :param alert: flat: ``labels.<name>`` and so on
        """
        for field in self.fields:
            found = alert.get(field)
            if found and self.pattern:
                part = self.pattern.fullmatch(found)
                found = part and part[min(1, self.pattern.groups)]
            if found:
                return found
        return self.value


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of the alerts that it is for."""

    match: Mapping[str, re.Pattern[str]]
    firing: Says
    resolved: Says
    details: tuple[Detail, ...]

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether the rule is for an alert with such labels."""
        return all(name in labels and pattern.match(labels[name])
                   for name, pattern in self.match.items())


class Rules:
    """The rules of the file that the configuration names.

    :raises ConfigurationError: with file and line
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._rules = self._load()

    def find(self, labels: Mapping[str, str]) -> Rule | None:
        """Return the rule for an alert with such labels, if there is one."""
        return next((rule for rule in self._rules if rule.fits(labels)), None)

    def read_again(self, *_args: Any) -> None:
        """Read the file again; one with a mistake changes nothing."""
        try:
            self._rules = self._load()
        except exception.ConfigurationError as exc:
            LOG.error('The rules for alerts stay as they were: %s',
                      ' '.join(str(exc).split()))

    def _load(self) -> list[Rule]:
        return read(document.find(
            self._conf, 'event', 'alertmanager_cfg_file', PACKAGED))


def load(conf: cfg.ConfigOpts) -> Rules:
    """Return the rules; they are read again when options are (SIGHUP).

    :raises ConfigurationError: with file and line
    """
    rules = Rules(conf)
    conf.register_mutate_hook(rules.read_again)
    return rules


def read(path: str) -> list[Rule]:
    """Read a file of rules.

    :raises ConfigurationError: with file and line
    """
    file = document.File(path)
    return [_rule(file, item) for item in file.entries(
        'rules', 'a rule', _KEYS)]


def _rule(file: document.File, item: document.Mapping) -> Rule:
    patterns = _mapping(file, item, 'match')
    firing = _says(file, item, 'firing', '')
    resolved = Says(firing.type, RESOLVED)
    if 'resolved' in item:
        resolved = _says(file, item, 'resolved', firing.type)
    details: tuple[Detail, ...] = ()
    if 'details' in item:
        found = _mapping(file, item, 'details')
        details = tuple(_detail(file, found, name) for name in found)
    return Rule({name: _pattern(file, patterns, name) for name in patterns},
                firing, resolved, details)


def _mapping(file: document.File, parent: document.Mapping,
             key: str) -> document.Mapping:
    value = parent.get(key)
    if not isinstance(value, document.Mapping):
        raise file.error(file.line_of(parent, key),
                         '%s must be a mapping' % key)
    return value


def _says(file: document.File, rule: document.Mapping, key: str,
          type_name: str) -> Says:
    said = _mapping(file, rule, key)
    file.known_keys(said, ('type', 'status'))
    return Says(file.text(said, 'type', type_name or None),
                file.text(said, 'status', key))


def _pattern(file: document.File, patterns: document.Mapping,
             name: str) -> re.Pattern[str]:
    return re.compile('|'.join(
        '(?:%s)' % fnmatch.translate(text) for _line, text in file.texts(
            patterns, name, single=True)))


def _detail(file: document.File, details: document.Mapping,
            name: str) -> Detail:
    value = details[name]
    if not isinstance(value, document.Mapping):
        return Detail(name, fields=_fields(file, details, name))
    file.known_keys(value, ('fields', 'pattern', 'value'))
    if 'value' in value:
        if not isinstance(value['value'], str | int | float):
            raise file.error(file.line_of(value, 'value'),
                             'detail %s: value must be a text or a number'
                             % name)
        if len(value) > 1:
            raise file.error(value.line, 'detail %s: value stands alone'
                             % name)
        return Detail(name, value=value['value'])
    pattern = None
    if 'pattern' in value:
        try:
            pattern = re.compile(file.text(value, 'pattern'))
        except re.error as exc:
            raise file.error(file.line_of(value, 'pattern'),
                             'detail %s: pattern: %s' % (name, exc)) from None
    return Detail(name, fields=_fields(file, value, 'fields'),
                  pattern=pattern)


def _fields(file: document.File, parent: document.Mapping,
            key: str) -> tuple[str, ...]:
    found = file.texts(parent, key, single=True)
    for line, text in found:
        kind, _, name = text.partition('.')
        if text not in _PLACES and not (
                name and kind in ('labels', 'annotations')):
            raise file.error(line, (
                '%s is not labels.<name>, annotations.<name> or one of: %s'
                % (text, ', '.join(_PLACES))))
    return tuple(text for _line, text in found)
