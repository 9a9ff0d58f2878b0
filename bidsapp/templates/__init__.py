"""Standard spaces through TemplateFlow, with the embedded default.

A template is looked for in three places, in this order: the TemplateFlow home (TEMPLATEFLOW_HOME,
or TemplateFlow's own default), the folder that the caller passes, and TemplateFlow's server. The
default, MNI152NLin2009aSym, comes with the app and never needs the server.
"""

from bidsapp.templates.embedded import DEFAULT, lay_embedded
from bidsapp.templates.resolve import resolve_template, template_label
from bidsapp.templates.space import Grid, brain_template, output_grid
from bidsapp.templates.template import Template

__all__ = [
    "DEFAULT",
    "Grid",
    "Template",
    "brain_template",
    "lay_embedded",
    "output_grid",
    "resolve_template",
    "template_label",
]
