"""`python -m deploy VERB`: reads the command line, and nothing else before it knows the verb."""

import argparse
import io
import os
import sys

from deploy import options


def main(arguments: list[str] | None = None) -> int:
    """Do one verb; the exit status."""
    given = options.parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # an answer may hold what a terminal cannot show
    try:
        return _run(given)
    except KeyboardInterrupt as stop:
        message = str(stop) or "stopped: nothing is half-changed, and the same command again goes on"
        print(f"\n{message}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has had enough: say nothing more, not even when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(given: argparse.Namespace) -> int:
    # Only now: `--help` and a typing error need not wait for them.
    from deploy import terminal, verbs
    from deploy.importing import ImportingError

    run = verbs.run
    if given.verb == "import":
        from deploy.importing import command

        run = command.run
    try:
        run(given)
    except BrokenPipeError:
        raise
    except (*verbs.EXPECTED, ImportingError) as error:
        terminal.error(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
