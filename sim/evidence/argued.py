"""Mutants that survive and are equivalent, for a reason that no proof sees. Each reason was found by hand.

A mutant's text names its place by line of the generated Verilog, so that a mutant of changed hardware
is argued anew.
"""

from __future__ import annotations

from collections.abc import Mapping

#: A reason that several mutants of `ARGUED` have.
NO_TIE = (
    "of a bit so far below the half that it only tells a tie from what is not one; every sum in the proven range was "
    "tried, and none is rounded otherwise"
)
#: The reason of each mutant, by unit and text of the mutant.
ARGUED: Mapping[tuple[str, str], str] = {
    ("fold_sequential", "const1 at B[0] of sequencer.and line 1149 (sequencer._025_)"): (
        "sets between_frames in earlier passes over a frame's first group, where it is asked for by kept_empty alone, "
        "which the end of each pass clears; the last pass sets it anew"
    ),
    ("fold_sequential", "inv at D[0] of procdff1906 (delayed$22)"): (
        "numbers the channels of the window otherwise, for reads and writes alike"
    ),
    ("fold_sequential", "const1 at A[10] of lane_0.requantise.add line 1989 (lane_0.requantise.product)"): NO_TIE,
    ("fold_sequential", "inv at Q[18] of lane_0.requantise.procdff1726 (lane_0.requantise.product)"): NO_TIE,
    ("stride_2_even", "const1 at A[0] of sequencer.input_walk.ternary line 1581 (sequencer.input_walk._005_)"): (
        "numbers the last of three rows 3, not 2; rows are only asked whether they are 0, and whether they are 1"
    ),
    ("stride_2_even", "const1 at D[7] of sequencer.input_walk.procdff1948 (sequencer.input_walk.register)"): (
        "of the lowest row of a window, which lies in the frame for all three rows of outputs: the bit is 1 from the "
        "first cycle behind power-up on, before any beat"
    ),
    ("dynamic_head_over_beats", "cnot1 by bit 1 at Y[0] of sequencer.add line 1386 (sequencer._001_)"): (
        "of the pass behind the second, which is the last: 0 is taken instead"
    ),
    ("xcup_bits_3_6_signed", "const1 at PCOUT[32] of lane_1.tap_macs.U7 (lane_1.tap_macs.hand_on$34)"): (
        "of a chain whose sum is taken from the lower 22 bits, to which a higher bit never carries"
    ),
    ("network/pools", "cnot1 by bit 1 at Y[0] of 9_max_pool3_rows.ternary line 3219 (9_max_pool3_rows._020_)"): (
        "of a window that begins while another goes on; windows of two rows, two rows apart, do not overlap"
    ),
    ("network/joins", "inv at A[5] of 5_add3_sum.shr line 2503"): (
        "of all pairs of operands, only 24 and -11 give another result; the second is the sum of a pixel with itself, "
        "which for none of the 16 pixels is -11"
    ),
    ("network/joins", "const1 at A[0] of 2_avg_pool1_rows.ternary line 1399 (2_avg_pool1_rows._084_)"): (
        "sets complete_in where complete is set; it is asked for only where complete is not"
    ),
    ("network/joins", "cnot1 by bit 1 at Y[0] of 4_upsample2_pixels.add line 2072 (4_upsample2_pixels._020_)"): (
        "of the pass behind the second, which is the last: 0 is taken instead"
    ),
}
