"""`python -m exs` is `exs`."""

from exs.cli.main import main

if __name__ == "__main__":
    main()
