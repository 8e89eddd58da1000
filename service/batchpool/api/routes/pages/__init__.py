"""The pages, one module per view; `PAGES` are their blueprints."""

from batchpool.api.routes.pages import forms, overview, reference, static_files

PAGES = (overview.blueprint, forms.blueprint, reference.blueprint)
"""Their errors are pages too."""

BLUEPRINTS = (*PAGES, static_files.blueprint)
