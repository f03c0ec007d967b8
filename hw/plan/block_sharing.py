"""Block sharing: built-in words that lie in what other words leave of their block RAMs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hw.blocks.memory import kind, spare_bits
from hw.plan.weight_layout import Guest, LaneBank
from hw.targets.families import Target


def share_blocks(banks: Sequence[LaneBank], bits: int, depth: int, target: Target) -> list[LaneBank]:
    """The banks without the last ones whose words fit into the room that the block RAMs of those before them have.

    It pays where words do not fill block RAMs: nine words of 64 bits are eight of 72. What comes too early waits.

    Args:
        bits: bits of an element, built in.
        depth: words of each bank.
    """
    shared = list(banks)
    while len(shared) > 1:
        *hosts, last = shared
        needed = len(last.members) * bits
        room = [spare_bits(target, depth, len(bank.members) * bits + len(bank.guests)) for bank in hosts]
        if last.guests or kind(target, depth, needed, read_only=True) != "block" or sum(room) < needed:
            break
        homeless = [(element, bit) for element in last.members for bit in range(bits)]
        # The first ones are filled first, so that the last ones may be guests, too.
        for number, bank in enumerate(hosts):
            wait = last.skew - bank.skew
            new = [Guest(element=element, bit=bit, wait=wait) for element, bit in homeless[: room[number]]]
            homeless = homeless[room[number] :]
            hosts[number] = replace(bank, guests=(*bank.guests, *new))
        shared = hosts
    return shared
