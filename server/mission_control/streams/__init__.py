"""From the log to many readers: a subscription is a position and a filter, and costs no more than that."""
