# SPDX-License-Identifier: Apache-2.0

extensions = ['openstackdocstheme', 'reno.sphinxext']
project = 'doctor_alarm Release Notes'
copyright = 'doctor_alarm developers'
html_theme = 'openstackdocs'
root_doc = 'index'
# The versions are those of the notes.
release = ''
version = ''
openstackdocs_auto_name = False
