"""Jobs, pure: admission, planning, aggregation, trace, listing."""
