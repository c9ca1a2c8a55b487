"""``%ktrace probes``: the probe points of a kernel as a table."""

from __future__ import annotations

import pandas as pd

from ktrace_nb.errors import CellError, OptionError
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap.catalog import probe_points
from ktrace_nb.lang.stap.script import library_for


def probes_table(pattern: str, facts: KernelFacts) -> pd.DataFrame:
    """The probe points a pattern means on a kernel, with what their handlers can read.

    Returns:
        Indexed by ``probe`` and ``variable`` (str; ``$name`` is the kernel's own, empty
        where there is none): ``type`` (str), ``long`` or ``string`` of what an alias
        sets, a type in C of a target variable.

    Raises:
        OptionError: There is none.
    """
    try:
        found = probe_points(pattern, facts, library_for(facts))
    except CellError as error:
        raise OptionError(error.message, hint=error.hint) from None
    rows = [
        (listed.point, variable, type_)
        for listed in found
        for variable, type_ in ((*listed.variables, *listed.targets) or (("", ""),))
    ]
    return pd.DataFrame(rows, columns=["probe", "variable", "type"]).set_index(["probe", "variable"])
