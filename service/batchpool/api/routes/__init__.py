"""The routes, one blueprint per noun."""

from batchpool.api.routes import comparisons, events, health, inventory, jobs, pages, records

BLUEPRINTS = (
    jobs.blueprint,
    records.blueprint,
    events.blueprint,
    comparisons.blueprint,
    inventory.blueprint,
    health.blueprint,
    pages.blueprint,
)
