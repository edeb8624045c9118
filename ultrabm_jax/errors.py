"""The one base class of errors that a user can mend.

Scripts print such an error as a single line `error: ...` and exit with status 1; everything else is a bug and keeps
its traceback.
"""


class UserError(ValueError):
    """Something outside the program is wrong: a path, a file, an option. The message says what to do."""
