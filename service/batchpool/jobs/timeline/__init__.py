"""The timeline of a job: where and when each item ran, as bars or bins per lane; pure."""
