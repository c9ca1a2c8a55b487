"""Columns of text that is made when somebody looks at it.

A frame of a million calls has a million argument lists; few of them are ever read.
:class:`LazyText` keeps the registers and writes a row's text when it is asked for.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray, ExtensionDtype, register_extension_dtype, take
from pandas.core.strings.object_array import (  # type: ignore[import-not-found]
    ObjectStringArrayMixin,
)

from ktrace_nb.stream.calls.values import Values

ARGUMENTS, RESULT = "arguments", "return"


@register_extension_dtype
class LazyTextDtype(ExtensionDtype):
    """The dtype ``lazy_text`` of :class:`LazyText`; its scalars are str."""

    name = "lazy_text"
    type: ClassVar[Any] = str
    kind = "O"
    na_value = pd.NA

    @classmethod
    def construct_array_type(cls) -> builtins.type[LazyText]:
        """The arrays of this dtype."""
        return LazyText


class LazyText(ObjectStringArrayMixin, ExtensionArray):  # type: ignore[misc]
    """Texts of arguments or results, or texts that were given.

    Args:
        values: How registers are read.
        kind: :data:`ARGUMENTS` or :data:`RESULT`.
        function: Of each row.
        registers: Of each row: six of arguments, one of a result.
        missing: Rows without a text.
    """

    _str_na_value = pd.NA

    def __init__(
        self,
        values: Values,
        kind: str,
        function: NDArray[np.uint16],
        registers: NDArray[np.uint64],
        missing: NDArray[np.bool_],
    ) -> None:
        self._values = values
        self._kind = kind
        self._function = function
        self._registers = registers
        self._missing = missing
        self._texts: NDArray[np.object_] | None = None
        """What it has been turned into, once it was given texts of others."""

    # --- what pandas asks for ---------------------------------------------------------------

    @classmethod
    def _from_sequence(cls, scalars: Any, *, dtype: Any = None, copy: bool = False) -> Self:
        if isinstance(scalars, cls):
            return scalars.copy() if copy else scalars
        listed = list(scalars)
        found = cls(
            Values(()),
            ARGUMENTS,
            np.zeros(len(listed), np.uint16),
            np.zeros((len(listed), 0), np.uint64),
            np.asarray(pd.isna(np.array(listed, object)), bool).reshape(-1),
        )
        found._texts = np.array([None if pd.isna(s) else str(s) for s in listed], object)
        return found

    @classmethod
    def _from_factorized(cls, values: NDArray[Any], original: LazyText) -> Self:
        return cls._from_sequence(values)

    @classmethod
    def _concat_same_type(cls, to_concat: Sequence[Self]) -> Self:
        first = to_concat[0]
        if any(not part._is_like(first) for part in to_concat):
            return cls._from_sequence([text for part in to_concat for text in part])
        return cls(
            first._values,
            first._kind,
            np.concatenate([part._function for part in to_concat]),
            np.concatenate([part._registers for part in to_concat]),
            np.concatenate([part._missing for part in to_concat]),
        )

    def _is_like(self, other: LazyText) -> bool:
        if self._texts is not None or other._texts is not None:
            return False
        return self._kind == other._kind and (self._values is other._values or self._values == other._values)

    @property
    def dtype(self) -> LazyTextDtype:
        """``lazy_text``."""
        return LazyTextDtype()

    @property
    def nbytes(self) -> int:
        """What the registers take."""
        texts = 0 if self._texts is None else self._texts.nbytes
        return self._function.nbytes + self._registers.nbytes + self._missing.nbytes + texts

    def __len__(self) -> int:
        return len(self._missing)

    def __getitem__(self, item: Any) -> Any:
        if type(item) is int:  # the least that reading row by row can take
            return self._text(item)
        item = pd.api.indexers.check_array_indexer(self, item)
        if isinstance(item, int | np.integer):
            return self._text(int(item))
        return self._rows(item)

    def __iter__(self) -> Iterator[Any]:
        return map(self._text, range(len(self)))

    def __setitem__(self, key: Any, value: Any) -> None:
        key = pd.api.indexers.check_array_indexer(self, key)
        texts = np.array(list(self), object)
        texts[key] = value
        given = self._from_sequence(texts)
        self._texts, self._missing = given._texts, given._missing

    def __eq__(self, other: object) -> Any:
        if isinstance(other, pd.Series | pd.Index | pd.DataFrame):
            return NotImplemented
        return self._compared(other, lambda mine, theirs: mine == theirs)

    def __ne__(self, other: object) -> Any:
        if isinstance(other, pd.Series | pd.Index | pd.DataFrame):
            return NotImplemented
        return self._compared(other, lambda mine, theirs: mine != theirs)

    def isna(self) -> NDArray[np.bool_]:
        """Rows without a text."""
        return self._missing.copy()

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> Self:
        """Rows by their places; with ``allow_fill`` -1 stands for a row without a text."""
        places = np.asarray(indices, np.intp)
        if not allow_fill:
            return self._rows(take(np.arange(len(self)), places))
        if fill_value is not None and not pd.isna(fill_value):
            texts = take(np.array(list(self), object), places, allow_fill=True, fill_value=fill_value)
            return self._from_sequence(texts)
        chosen: Any = take(np.arange(len(self)), places, allow_fill=True, fill_value=-1)
        if not len(self):
            return self._from_sequence([pd.NA] * len(places))
        found = self._rows(chosen)
        found._missing = found._missing | (chosen < 0)
        return found

    def copy(self) -> Self:
        """The same rows in arrays of their own."""
        found = self._rows(slice(None))
        found._function, found._registers = found._function.copy(), found._registers.copy()
        found._missing = found._missing.copy()
        found._texts = None if found._texts is None else found._texts.copy()
        return found

    def _formatter(self, boxed: bool = False) -> Callable[[Any], str]:
        return str

    def _values_for_factorize(self) -> tuple[NDArray[np.object_], Any]:
        return np.array([None if text is pd.NA else text for text in self], object), None

    def _values_for_argsort(self) -> NDArray[np.object_]:
        return np.array(["" if text is pd.NA else text for text in self], object)

    def _reduce(self, name: str, *, skipna: bool = True, keepdims: bool = False, **kwargs: Any) -> Any:
        texts = pd.Series(np.array(list(self), object), dtype="string")
        return texts.array._reduce(name, skipna=skipna, keepdims=keepdims, **kwargs)

    # --- what others ask for -------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        texts = np.array(list(self), object)
        return texts if dtype is None else texts.astype(dtype)

    def __arrow_array__(self, type: Any = None) -> pa.Array:  # the name is pyarrow's
        texts = [None if text is pd.NA else text for text in self]
        return pa.array(texts, type=type or pa.string())

    def _str_map(self, f: Any, na_value: Any = None, dtype: Any = None, convert: bool = True) -> Any:
        series = pd.Series(np.array(list(self), object), dtype="string")
        return series.array._str_map(f, na_value=na_value, dtype=dtype, convert=convert)

    # --- rows -----------------------------------------------------------------------------------

    def _text(self, row: int) -> Any:
        if self._missing[row]:
            return pd.NA
        if self._texts is not None:
            return self._texts[row]
        function, registers = int(self._function[row]), self._registers[row]
        if self._kind == ARGUMENTS:
            return self._values.arguments(function, registers.tolist())
        return self._values.result(function, int(registers))

    def _rows(self, chosen: Any) -> Self:
        found = type(self)(
            self._values,
            self._kind,
            self._function[chosen],
            self._registers[chosen],
            self._missing[chosen],
        )
        found._texts = None if self._texts is None else self._texts[chosen]
        return found

    def _compared(self, other: Any, compare: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, str) or other is None or other is pd.NA:
            others: Sequence[Any] = [other] * len(self)
        else:
            others = list(other)
            if len(others) != len(self):
                raise ValueError("lengths must match to compare")
        result = np.zeros(len(self), bool)
        missing = self._missing | np.asarray(pd.isna(np.array(others, object)), bool).reshape(-1)
        for row in np.flatnonzero(~missing).tolist():
            result[row] = compare(self._text(row), others[row])
        return pd.arrays.BooleanArray(result, missing)
