"""The routes, one blueprint per resource."""

from batchpool.api.routes import broken, comparisons, health, inventory, jobs, pages, records

BLUEPRINTS = (
    jobs.blueprint,
    records.blueprint,
    comparisons.blueprint,
    inventory.blueprint,
    broken.blueprint,
    health.blueprint,
    *pages.BLUEPRINTS,
)
