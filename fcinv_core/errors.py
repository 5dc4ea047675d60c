"""The one error that a user is meant to read: input that fcinv cannot use."""


class InputError(ValueError):
    """Input that cannot be used: what is wrong, why, and what to do about it.

    The command line prints it as one sentence and exits with code 2; a Mantid algorithm passes it on.

    Parameters
    ----------
    what
        What is wrong with which input, with the value seen ("poscar.txt is not a crystal structure").
    why
        What was expected, or the reason that was found ("no line gives the lattice").
    do
        What the user can do ("give a POSCAR, a CIF or a phonopy yaml file").
    """

    def __init__(self, what: str, why: str, do: str) -> None:
        self.what, self.why, self.do = what, why, do
        super().__init__(f"{what}: {why}; {do}.")
