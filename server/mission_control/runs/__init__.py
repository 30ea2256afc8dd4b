"""From the log to desktops and back: connections, runs, probes."""
