"""The pages, one module per view; `PAGES` are their blueprints."""

from batchpool.api.routes.pages import (
    comparisons,
    forms,
    job,
    jobs,
    lessons,
    overview,
    reference,
    static_files,
    timeline,
)

PAGES = (
    overview.blueprint,
    forms.blueprint,
    # After forms: /jobs/new is no id of a job.
    jobs.blueprint,
    job.blueprint,
    timeline.blueprint,
    comparisons.blueprint,
    lessons.blueprint,
    reference.blueprint,
    reference.try_blueprint,
)
"""Their errors are pages too."""

BLUEPRINTS = (*PAGES, static_files.blueprint)
