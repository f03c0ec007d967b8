"""Scale: how a unit multiplies its sums without a multiplier (`hw.plan.made_of`).

All multipliers of a layer are built in. Zeros that all of them end with are taken off, and off the shift behind the
product. What is left are *factors*:

- Where all factors are powers of two, the product is a shift, or a wire.
- Otherwise a factor is cut into digits, the lowest first. A sum is complete once in so many beats, and a digit is dealt
  with in a cycle. So there may be as many digits as beats, and no more bits in a digit than that leaves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from golden.contract.rounding import HALF_EVEN, Rounding


@dataclass(frozen=True, kw_only=True)
class Scale:
    """``acc * multiplier / 2^out_shift = acc * factor / 2^shift``.

    Attributes:
        factors: of each output channel, int64.
        zeros: low bits that all multipliers had and no factor has.
        shift: what is left of ``out_shift``.
        beats: beats of a sum.
        rounding: of the quotient.
    """

    factors: np.ndarray
    zeros: int
    shift: int
    beats: int
    rounding: Rounding

    @classmethod
    def of(cls, multipliers: np.ndarray, out_shift: int, beats: int, rounding: Rounding = HALF_EVEN) -> Scale:
        every = int(np.bitwise_or.reduce(multipliers))
        zeros = min(out_shift, (every & -every).bit_length() - 1)
        return cls(factors=multipliers >> zeros, zeros=zeros, shift=out_shift - zeros, beats=beats, rounding=rounding)

    @property
    def is_shift(self) -> bool:
        """Whether all factors are powers of two."""
        return not (self.factors & (self.factors - 1)).any()

    @property
    def span(self) -> int:
        """The largest exponent, where factors are powers of two."""
        return int(self.factors.max()).bit_length() - 1

    @property
    def digits(self) -> int:
        """Digits of a factor, which is the number of cycles that one takes."""
        width = int(self.factors.max()).bit_length()
        return -(-width // -(-width // self.beats))

    @property
    def digit_bits(self) -> int:
        """Bits of a digit."""
        return -(-int(self.factors.max()).bit_length() // self.beats)

    @property
    def takes_turns(self) -> bool:
        """Whether a product takes several cycles."""
        return not self.is_shift and self.digits > 1

    @property
    def below(self) -> int:
        """Low bits of the product that are not kept.

        They leave the adder while later digits are added. To round to the nearest integer needs the bit of the half
        and those above it, to round down those above the half.
        """
        needless = self.shift if self.rounding == "floor" else max(0, self.shift - 1)
        return min(needless, self.digit_bits * (self.digits - 1)) if self.takes_turns else 0

    @property
    def tells_ties(self) -> bool:
        """Whether one bit stands for those that are not kept, and says whether any is set."""
        return self.below > 0 and self.rounding == "half_even"

    @property
    def word_bits(self) -> int:
        """Bits of what is stored of a factor and wanted at once; 0 where nothing is."""
        return self.span.bit_length() if self.is_shift else self.digit_bits

    @property
    def words(self) -> np.ndarray:
        """What is stored of each factor: its exponent ``[channels, 1]``, or its digits ``[channels, digits]``."""
        if self.is_shift:
            return np.array([[int(factor).bit_length() - 1] for factor in self.factors])
        places = np.arange(self.digits) * self.digit_bits
        return self.factors[:, None] >> places & ((1 << self.digit_bits) - 1)
