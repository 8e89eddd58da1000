"""Child processes of a runner: child, channel, monitor, pools."""
