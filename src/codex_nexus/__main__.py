"""`python -m codex_nexus`: the same as the command `codex-nexus`."""

from codex_nexus.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
