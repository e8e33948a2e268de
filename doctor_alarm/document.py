# SPDX-License-Identifier: Apache-2.0
"""YAML files whose parts know the line they came from."""
from __future__ import annotations

from collections.abc import Hashable
from collections.abc import Sequence
import os
from typing import Any

from oslo_config import cfg
import yaml

from doctor_alarm import exception

_NOT_CHOSEN = (cfg.Locations.opt_default, cfg.Locations.set_default)


class Mapping(dict[str, Any]):
    """A mapping of a file; ``lines``: key -> line of its value."""

    line = 0
    lines: dict[str, int]


class List(list[Any]):
    """A list of a file; ``lines``: lines of its items."""

    line = 0
    lines: list[int]


class File:
    """A file of definitions: its content, and errors that say where."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.content = self._load()

    def error(self, line: int, reason: str,
              ) -> exception.ConfigurationError:
        """Return the error that stops the service at start."""
        return exception.ConfigurationError(
            where='%s:%d' % (self.path, line), reason=reason)

    def text(self, parent: Mapping, key: str, default: str | None = None,
             ) -> str:
        """Return a text that is not empty."""
        value = parent.get(key, default)
        if value is None:
            raise self.error(parent.line, '%s is required' % key)
        if not isinstance(value, str) or not value:
            raise self.error(self.line_of(parent, key),
                             '%s must be a text' % key)
        return value

    def texts(self, parent: Mapping, key: str, single: bool = False,
              ) -> list[tuple[int, str]]:
        """Return [(line, text)] of a list that is not empty.

        :param single: one text is as good as a list of one
        """
        value = parent.get(key)
        line = self.line_of(parent, key)
        if single and isinstance(value, str) and value:
            return [(line, value)]
        if value is None and key not in parent:
            raise self.error(parent.line, '%s is required' % key)
        if not isinstance(value, List) or not value:
            raise self.error(line, '%s must be %sa list that is not empty' % (
                key, 'a text or ' if single else ''))
        for item_line, item in zip(value.lines, value, strict=True):
            if not isinstance(item, str) or not item:
                raise self.error(item_line, '%s must be texts' % key)
        return list(zip(value.lines, value, strict=True))

    def entries(self, many: str, one: str,
                keys: Sequence[str]) -> list[Mapping]:
        """Return what the file is a list of.

        :param many: what they are called; ``one``: the same, with an article
        :param keys: those that one may have
        """
        if not isinstance(self.content, List):
            raise self.error(1, 'a list of %s is expected' % many)
        for line, item in zip(self.content.lines, self.content, strict=True):
            if not isinstance(item, Mapping):
                raise self.error(line, '%s has %s' % (one, ', '.join(keys)))
            self.known_keys(item, keys)
        return self.content

    def known_keys(self, parent: Mapping, keys: Sequence[str]) -> None:
        """Refuse a mapping with a key that means nothing."""
        for key in parent:
            if key not in keys:
                raise self.error(self.line_of(parent, key), (
                    'unknown key %r, known are: %s' % (key, ', '.join(keys))))

    @staticmethod
    def line_of(parent: Mapping, key: str) -> int:
        """Return the line of the value of a key."""
        return parent.lines.get(key, parent.line)

    def _load(self) -> Any:
        try:
            with open(self.path, encoding='utf-8') as stream:
                return yaml.load(stream, Loader=_Loader)  # noqa: S506
        except OSError as exc:
            raise exception.ConfigurationError(
                where=self.path, reason=exc.strerror or str(exc)) from None
        except yaml.MarkedYAMLError as exc:
            mark = exc.problem_mark or exc.context_mark
            raise self.error(
                mark.line + 1 if mark else 1,
                'invalid YAML: %s' % (exc.problem or exc.context)) from None
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError,
                ValueError) as exc:
            raise self.error(
                1, 'invalid YAML: %s' % ' '.join(str(exc).split())) from None


def find(conf: cfg.ConfigOpts, group: str | None, option: str,
         packaged: str) -> str:
    """Return the path of the file that an option names.

    Next to the configuration file and in the standard directories.

    :param packaged: the file of this package that counts if it was not set
    :raises ConfigurationError: the file that was set is not there
    """
    name = conf[group][option] if group else conf[option]
    path = conf.find_file(name)
    if path:
        return path
    if os.path.isabs(name) and os.path.exists(name):
        return name
    location = conf.get_location(option, group)
    if location is not None and location.location not in _NOT_CHOSEN:
        raise exception.ConfigurationError(
            where='[%s] %s' % (group or 'DEFAULT', option),
            reason='file not found: %s' % name)
    return os.path.join(os.path.dirname(__file__), packaged)


class _Loader(yaml.SafeLoader):
    pass


def _mapping(loader: _Loader, node: Any) -> Mapping:
    result = Mapping()
    result.line = node.start_mark.line + 1
    result.lines = {}
    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(
            None, None, 'expected a mapping', node.start_mark)
    # Resolves '<<: *anchor': own keys come last and win.
    loader.flatten_mapping(node)
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(
                None, None, 'a key must be a text', key_node.start_mark)
        name = str(key)
        result[name] = loader.construct_object(value_node, deep=True)
        result.lines[name] = value_node.start_mark.line + 1
    return result


def _list(loader: _Loader, node: Any) -> List:
    result = List(
        loader.construct_object(child, deep=True) for child in node.value)
    result.line = node.start_mark.line + 1
    result.lines = [child.start_mark.line + 1 for child in node.value]
    return result


_Loader.add_constructor('tag:yaml.org,2002:map', _mapping)
_Loader.add_constructor('tag:yaml.org,2002:seq', _list)
