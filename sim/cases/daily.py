"""The named units that ``make check`` simulates by their names, frozen ones in bulk; ``make nightly`` simulates all.

With the units of the regression, they take every branch of `hw` that any named unit takes. A test of each night holds
that. Beside them are units at limits that no branch shows: the smallest frames, odd numbers, extreme shifts, and
weights at both ends of their range, for each family of FPGAs that packs products in its own way.
"""

#: Units of `sim.cases.frozen.CASES`.
DAILY = (
    # branches
    "adders_3_beats",
    "adders_floor",
    "adders_half_up",
    "adders_a_single_beat",
    "adders_powers",
    "adders_wire",
    "depthwise_parallel",
    "dynamic_alternating",
    "dynamic_long_heads_across_beats",
    "ecp5_adders",
    "ecp5_4_bit",
    "ecp5_8_bit_signed",
    "ecp5_all_adders",
    "ecp5_dynamic_heads_in_a_beat",
    "ecp5_valid_early",
    "frame_1x1",
    "valid_7_whole_frame",
    "valid_early",
    "valid_early_one_beat",
    "xc7_convolution",
    "xc7_dynamic_heads_in_a_beat",
    "xcup_adders",
    "xcup_all_adders",
    "xcup_dynamic_head_over_beats",
    "xcup_valid_early_one_beat",
    # limits
    "adders_a_bit_a_beat",
    "adders_out_shift_5",
    "attn_shift_15",
    "bits_2_signed",
    "fold_odd",
    "frame_1xn",
    "frame_nx1_stride_2",
    "kernel_7",
    "offsets_asymmetric",
    "offsets_only_below",
    "out_shift_47",
    "stride_2_few_rows",
    "xcup_2_bit_depthwise",
)
#: Units of `sim.cases.frozen.SMALL_CASES`.
DAILY_SMALL = (
    "ecp5_positive_unsigned",
    "ecp5_negative_signed",
    "ecp5_positive_5_bit",
    "ecp5_convolution_1x1",
    "ecp5_frame_1x1",
    "ecp5_dynamic_negative_signed",
    "xc7_negative_signed",
    "xc7_alternating_signed",
    "xc7_bits_8_2",
    "xc7_frame_1x1",
    "xc7_dynamic_positive_unsigned",
    "xc7_dynamic_across_beats",
    "xcup_positive_unsigned",
    "xcup_alternating_signed",
    "xcup_negative_2_bit",
    "xcup_depthwise",
    "xcup_dynamic_negative_unsigned",
    "xcup_dynamic_2_bit",
    "xcup_dynamic_single_products",
)
#: Units of `sim.cases.reloadable.RELOADABLE`.
DAILY_RELOADABLE = (
    # branches
    "dynamic_stride_2",
    "ecp5_4_bit",
    "single_buffered_parallel",
    # all tests, with two sets of words and with one; limits
    "hadamard",
    "single_buffered",
    "narrow_shifts",
    "valid_7",
)
