"""What the channels and taps of a tile leave for pixels is the law of what fits, said the other way around."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.hardware import AT_ARRAY, AT_DMA, Loops
from accelsim.hardware.laws import fits, footprint, room_of
from accelsim.hardware.parts import Capacity, Im2col, Operands

sizes = st.integers(1, 12)
bits = st.integers(1, 16)
bytes_held = st.integers(0, 2000)


@pytest.mark.parametrize("mode", range(AT_ARRAY, AT_DMA + 1))
@given(
    operands=st.builds(Operands, bits, bits, bits, st.integers(1, 2), st.integers(1, 5), st.integers(1, 5)),
    capacity=st.builds(
        Capacity,
        bytes_held,
        bytes_held,
        st.integers(0, 500),
        bytes_held,
        st.integers(0, 60),
        st.integers(2, 40),
        st.integers(1, 2),
        st.integers(1, 2),
        st.just(0),
    ),
    tile=st.builds(Loops, *[sizes] * 8),
    area=st.integers(1, 500),
)
def test_a_tile_fits_where_it_has_no_more_pixels_than_its_block_leaves(
    mode: int, operands: Operands, capacity: Capacity, tile: Loops, area: int
) -> None:
    im2col = Im2col(mode, 0)
    room = room_of(capacity, operands, im2col, tile)
    within = tile.n * tile.oh * tile.ow <= room.pixels and area <= room.area
    assert within == bool(fits(capacity, footprint(operands, im2col, tile, area)))
