# SPDX-License-Identifier: Apache-2.0
"""Where events go: Ceilometer's event pipeline, read strictly.

Sources choose events by patterns of their type and name sinks; a sink has
publishers. An event goes to a sink once, however many sources lead there.
"""
from __future__ import annotations

import dataclasses
from typing import Any
import urllib.parse

from oslo_config import cfg

from doctor_alarm.agent import definitions
from doctor_alarm import document
from doctor_alarm import exception


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """A publisher of a sink: its URL, and where in the file it stands."""

    url: str
    where: str

    @property
    def scheme(self) -> str:
        """The name of the publisher plugin."""
        return urllib.parse.urlsplit(self.url).scheme


@dataclasses.dataclass(frozen=True, slots=True)
class Sink:
    """A sink: which events it takes and where it sends them."""

    name: str
    filters: tuple[definitions.Filter, ...]
    endpoints: tuple[Endpoint, ...]

    def takes(self, event_type: str) -> bool:
        """Whether events of this type go here."""
        return any(chosen.matches(event_type) for chosen in self.filters)


def load(conf: cfg.ConfigOpts) -> list[Sink]:
    """Read the pipeline that the configuration names.

    :raises ConfigurationError: with file and line
    """
    return read(document.find(conf, None, 'event_pipeline_cfg_file',
                              'agent/data/event_pipeline.yaml'))


def read(path: str) -> list[Sink]:
    """Read a pipeline file; sinks that no source names are left out.

    :raises ConfigurationError: with file and line
    """
    file = document.File(path)
    content = file.content
    if not isinstance(content, document.Mapping):
        raise file.error(1, 'sources and sinks are expected')
    file.known_keys(content, ('sources', 'sinks'))
    endpoints: dict[str, tuple[Endpoint, ...]] = {}
    for line, item in _items(file, content, 'sinks'):
        name = _name(file, line, item, 'sink', endpoints)
        endpoints[name] = _endpoints(file, item)
    filters: dict[str, list[definitions.Filter]] = {
        name: [] for name in endpoints}
    sources: dict[str, bool] = {}
    for line, item in _items(file, content, 'sources'):
        name = _name(file, line, item, 'source', sources)
        sources[name] = True
        chosen = _filter(file, item)
        for sink_line, sink in file.texts(item, 'sinks'):
            if sink not in endpoints:
                raise file.error(sink_line, 'source %s: there is no sink %s'
                                 % (name, sink))
            filters[sink].append(chosen)
    return [Sink(name, tuple(filters[name]), endpoints[name])
            for name in endpoints if filters[name]]


def _items(file: document.File, content: document.Mapping, key: str,
           ) -> list[tuple[int, Any]]:
    items = content.get(key)
    if not isinstance(items, document.List) or not items:
        raise file.error(file.line_of(content, key),
                         '%s must be a list that is not empty' % key)
    return list(zip(items.lines, items, strict=True))


def _name(file: document.File, line: int, item: Any, kind: str,
          taken: dict[str, Any]) -> str:
    if not isinstance(item, document.Mapping):
        raise file.error(line, 'a %s is a mapping' % kind)
    keys = (('name', 'events', 'sinks') if kind == 'source'
            else ('name', 'publishers', 'transformers'))
    file.known_keys(item, keys)
    name = file.text(item, 'name')
    if name in taken:
        raise file.error(file.line_of(item, 'name'),
                         'two %ss are called %s' % (kind, name))
    return name


def _filter(file: document.File, item: document.Mapping,
            ) -> definitions.Filter:
    patterns = [text for _line, text in file.texts(item, 'events')]
    line = file.line_of(item, 'events')
    excluded = [text for text in patterns if text.startswith('!')]
    included = [text for text in patterns if not text.startswith('!')]
    # Ceilometer's own rules: what is meant must be plain.
    named = [text for text in included if not text.startswith('*')]
    if excluded and named:
        raise file.error(line, 'events are either included or excluded (!), '
                               'not both')
    if '*' in included and named:
        raise file.error(line, '"*" includes all other events')
    if '!' in excluded:
        raise file.error(line, 'nothing stands behind "!"')
    return definitions.Filter.of(patterns)


def _endpoints(file: document.File, item: document.Mapping,
               ) -> tuple[Endpoint, ...]:
    if item.get('transformers'):
        raise file.error(file.line_of(item, 'transformers'),
                         'transformers do not exist for events')
    found: list[Endpoint] = []
    for line, text in file.texts(item, 'publishers'):
        # The form without :// is Ceilometer's oldest.
        url = text if '://' in text else text + '://'
        try:
            parsed = urllib.parse.urlsplit(url)
            _port = parsed.port
        except ValueError as exc:
            raise file.error(line, 'publisher %s: %s' % (
                _without_password(text), exc)) from None
        if not parsed.scheme:
            raise file.error(line, 'publisher %s: a URL is expected'
                             % _without_password(text))
        if url in [endpoint.url for endpoint in found]:
            raise file.error(line, 'the same publisher twice in a sink')
        found.append(Endpoint(url, '%s:%d' % (file.path, line)))
    return tuple(found)


def _without_password(url: str) -> str:
    return url.rpartition('@')[2]


def unknown_publisher(endpoint: Endpoint, known: list[str],
                      ) -> exception.ConfigurationError:
    """Return the error for a URL that no plugin stands behind."""
    return exception.ConfigurationError(
        where=endpoint.where, reason='there is no publisher %s://, known '
        'are: %s' % (endpoint.scheme, ', '.join(sorted(known))))
