"""The routes, one blueprint per resource."""

from batchpool.api.routes import (
    broken,
    comparisons,
    health,
    inventory,
    jobs,
    lessons,
    pages,
    records,
    reports,
    timeline,
    values,
)

BLUEPRINTS = (
    jobs.blueprint,
    records.blueprint,
    values.blueprint,
    timeline.blueprint,
    reports.blueprint,
    comparisons.blueprint,
    lessons.blueprint,
    inventory.blueprint,
    broken.blueprint,
    health.blueprint,
    *pages.BLUEPRINTS,
)
