"""The one error that a user's mistake ends in."""


class HamnerError(Exception):
    """Something the user can mend; the message says what is wrong, where, and how to mend it.

    The command line prints the message alone and exits with status 1; no traceback is shown for it.
    """
