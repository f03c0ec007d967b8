"""Mutants that are equivalent for a reason that no proof sees: each survived, and was argued by hand.

Places are named by line of the generated Verilog, so that a mutant of changed hardware is argued anew.
"""

from __future__ import annotations

from collections.abc import Mapping

from sim.reload_cases import PREFIX

#: Reasons for several of `ARGUED`.
TO_THE_LIMIT = (
    "forgets that the upper bits are -2, which matters with a carry out of the lower: then these are 0, and the lower "
    "limit, which is taken instead, is the same number"
)
ABOVE_THE_SUM = "of a chain whose sum is taken from the lower 22 bits, to which a higher bit never carries"
NOT_ADDED = "of a slice that adds its cascade input (OPMODE Z is PCIN), not C"
#: The reason, by unit and text of the mutant.
ARGUED: Mapping[tuple[str, str], str] = {
    ("fold_sequential", "const0 at Y[0] of sequencer.not line 1131 (sequencer._006_)"): (
        "asks whether the last group of a frame gives outputs; in a frame of more groups than wait it always does"
    ),
    ("fold_sequential", "inv at A[1] of row_store.ternary line 843"): (
        "what is read instead of a centre row that lies outside the frame; a centre never does"
    ),
    ("stride_2_even", "cnot0 by bit 241 at D[269] of weights.weights_1.procdff1944 (weights.weights_1.read__data)"): (
        "changes words whose bit 241 is 0; it is 1 in all four words of this ROM"
    ),
    ("stride_2_even", "inv at B[16] of lane_0.requantise.eq line 2111"): TO_THE_LIMIT,
    ("stride_2_even", "const0 at D[0] of lane_1.requantise.procdff1919 (lane_1.requantise._19_)"): TO_THE_LIMIT,
    ("stride_2_even", "cnot1 by bit 2 at A[15] of lane_1.tap_macs.mul line 2316"): (
        "adds 2^15 times a weight to a product of 16 bits; this weight is even in all four words of its ROM"
    ),
    ("dynamic_head_over_beats", "const0 at D[0] of similarity.procdff2961 (similarity._179_)"): TO_THE_LIMIT,
    ("xcup_bits_3_6_signed", "const0 at PCOUT[36] of lane_0.tap_macs.U0 (lane_0.tap_macs.hand_on)"): ABOVE_THE_SUM,
    ("xcup_bits_3_6_signed", "const1 at PCOUT[42] of lane_0.tap_macs.U2 (lane_0.tap_macs.hand_on$29)"): ABOVE_THE_SUM,
    ("xcup_bits_3_6_signed", "const0 at PCOUT[24] of lane_0.tap_macs.U4 (lane_0.tap_macs.hand_on$31)"): ABOVE_THE_SUM,
    ("xcup_bits_3_6_signed", "const1 at C[23] of lane_0.tap_macs.U5"): NOT_ADDED,
    ("xcup_bits_3_6_signed", "const1 at C[10] of lane_0.tap_macs.U7"): NOT_ADDED,
    (PREFIX + "stride_2", "const0 at B[50] of lane_1.requantise.ternary line 5148"): (
        "of a shift to the left by 48 or more; the most is 47, for an out_shift of 0"
    ),
    (PREFIX + "stride_2", "inv at A[0] of frame_writer.not line 3185"): (
        "the slot after the last of four is never told to be 0, but two bits wrap to it"
    ),
}
