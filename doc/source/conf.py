# SPDX-License-Identifier: Apache-2.0

extensions = [
    'openstackdocstheme',
    'oslo_config.sphinxext',
    'oslo_policy.sphinxext',
]
project = 'doctor_alarm'
copyright = 'doctor_alarm developers'
root_doc = 'index'
exclude_patterns = []
pygments_style = 'native'
html_theme = 'openstackdocs'
openstackdocs_auto_name = False
