"""The languages of cells. Each parses its text and lowers it to :mod:`ktrace_nb.ir`."""
