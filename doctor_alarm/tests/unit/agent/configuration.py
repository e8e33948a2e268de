# SPDX-License-Identifier: Apache-2.0
"""A configuration to test with."""

from oslo_config import cfg

from doctor_alarm import conf as conf_mod


def prepare(*argv, **overrides):
    """Return the defaults; ``agent__nova_format='both'`` overrides one."""
    conf = cfg.ConfigOpts()
    conf_mod.register(conf)
    conf(list(argv), project=conf_mod.PROJECT, default_config_files=[],
         default_config_dirs=[])
    for name, value in overrides.items():
        group, _separator, option = name.rpartition('__')
        conf.set_override(option, value, group=group or None)
    return conf
