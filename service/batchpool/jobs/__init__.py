"""Jobs: admission, planning, aggregation, trace, listing."""
