"""Mission Control: runs tasks on a fleet of desktops and shows everything that happens as one log of events."""

__version__ = "0.1.0"
