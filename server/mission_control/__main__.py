"""`python -m mission_control` is the command `mission-control`."""

from .cli.main import main

if __name__ == "__main__":
    main()
