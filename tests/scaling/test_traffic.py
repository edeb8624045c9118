"""Bytes of kernels, counted by hand in a written program, and in programs that XLA compiles."""

import jax
import jax.numpy as jnp
import pytest

from ultrabm_jax.scaling.traffic import kernel_bytes

MAP, PART = 4 * 8 * 4, 4 * 1 * 4  # bytes of f32[8,4] and of f32[1,4]

HLO = """HloModule jit_step, entry_computation_layout={()->f32[]}

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(%a, %b)
}

%fused_row (p0: f32[8,4], p1: s32[]) -> f32[1,4] {
  %p0 = f32[8,4]{1,0} parameter(0)
  %p1 = s32[] parameter(1)
  %row = f32[1,4]{1,0} dynamic-slice(%p0, %p1, %p1), dynamic_slice_sizes={1,4}
  ROOT %twice = f32[1,4]{1,0} add(%row, %row)
}

%fused_update (q0: f32[8,4], q1: f32[1,4], q2: s32[]) -> f32[8,4] {
  %q0 = f32[8,4]{1,0} parameter(0)
  %q1 = f32[1,4]{1,0} parameter(1)
  %q2 = s32[] parameter(2)
  ROOT %updated = f32[8,4]{1,0} dynamic-update-slice(%q0, %q1, %q2, %q2)
}

%region_0 (arg: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %arg = (s32[], f32[8,4]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%arg), index=0
  %x = f32[8,4]{1,0} get-tuple-element(%arg), index=1
  %row = f32[1,4]{1,0} fusion(%x, %i), kind=kLoop, calls=%fused_row, metadata={op_name="jit(step)/loop(x)"}
  %y = f32[8,4]{1,0} fusion(%x, %row, %i), kind=kLoop, calls=%fused_update
  ROOT %t = (s32[], f32[8,4]{1,0}) tuple(%i, %y)
}

%region_1 (arg.1: (s32[], f32[8,4])) -> pred[] {
  %arg.1 = (s32[], f32[8,4]{1,0}) parameter(0)
  ROOT %never = pred[] constant(false)
}

ENTRY %main (p: f32[8,4], k: f32[3,3,4,4]) -> f32[] {
  %p = f32[8,4]{1,0} parameter(0)
  %k = f32[3,3,4,4]{3,2,1,0} parameter(1)
  %zero = s32[] constant(0)
  %conv = (f32[8,4]{1,0}, u8[100]{0}) custom-call(%p, %k), custom_call_target="__cudnn$convForward"
  %map = f32[8,4]{1,0} get-tuple-element(%conv), index=0
  %t = (s32[], f32[8,4]{1,0}) tuple(%zero, %map)
  %w = (s32[], f32[8,4]) while(%t), condition=%region_1, body=%region_0, backend_config={"known_trip_count":{"n":"5"}}
  %z = f32[8,4]{1,0} get-tuple-element(%w), index=1
  %seen = f32[8,4]{1,0} bitcast(%z)
  ROOT %out = f32[] reduce(%seen, %zero), dimensions={0,1}, to_apply=%add
}
"""


def test_kernels_of_a_written_program_are_counted_with_loops_slices_and_updates():
    convolution = MAP + 4 * 9 * 16 + MAP + 100
    row = PART + 4 + PART  # the slice, the index and the result
    update = PART + PART + 4 + PART  # of the map, the new row, the index and what is written
    reduction = MAP + 4 + 4
    assert kernel_bytes(HLO) == convolution + 5 * (row + update) + reduction


TPU = """HloModule jit_step, entry_computation_layout={()->f32[]}

%fused_part (p0: f32[16,44]) -> f32[8,44] {
  %p0 = f32[16,44]{1,0:T(8,128)} parameter(0)
  %part = f32[8,44]{1,0:T(8,128)} slice(%p0), slice={[0:8], [0:44]}
  ROOT %twice = f32[8,44]{1,0:T(8,128)S(1)} add(%part, %part)
}

ENTRY %main (p: f32[16,44], q: bf16[3,44]) -> f32[16,44] {
  %p = f32[16,44]{1,0:T(8,128)} parameter(0)
  %q = bf16[3,44]{0,1:T(8,128)(2,1)} parameter(1)
  %kept = f32[8,44]{1,0:T(8,128)S(1)} fusion(%p), kind=kLoop, calls=%fused_part
  %copy = (bf16[3,44]{0,1:T(8,128)(2,1)S(1)}, bf16[3,44]{0,1:T(8,128)(2,1)}, u32[]{:S(2)}) copy-start(%q)
  %copied = bf16[3,44]{0,1:T(8,128)(2,1)S(1)} copy-done(%copy)
  %b = ((f32[16,44]{1,0:T(8,128)}), f32[8,44]{1,0:T(8,128)S(1)}, s32[]{:S(2)}) slice-start(%p), slice={[8:16], [0:44]}
  %other = f32[8,44]{1,0:T(8,128)S(1)} slice-done(%b)
  ROOT %out = f32[16,44]{1,0:T(8,128)} custom-call(%kept, %other, %copied), custom_call_target="both"
}
"""


def test_tiles_of_a_tpu_program_are_padded_and_on_chip_memory_does_not_count():
    rows = 8 * 128 * 4  # of f32[8,44]
    kernel = 48 * 128 * 2  # bf16[3,44] with the first dimension minor: 3 is padded to 128, 44 to 48
    assert kernel_bytes(TPU) == rows + kernel + rows + 2 * rows


def test_a_slice_to_on_chip_memory_counts_the_same_before_code_is_generated():
    called = "%sliced (p: f32[16,44]) -> f32[8,44] {\n  %p1 = f32[16,44]{1,0:T(8,128)} parameter(0)\n"
    called += "  ROOT %s = f32[8,44]{1,0:T(8,128)S(1)} slice(%p1), slice={[8:16], [0:44]}\n}\n\n"
    unsettled = TPU.replace("slice-start(%p), slice={[8:16], [0:44]}", "async-start(%p), calls=%sliced")
    assert unsettled != TPU
    assert kernel_bytes(unsettled.replace("ENTRY", called + "ENTRY")) == kernel_bytes(TPU)


def test_operands_behind_the_comments_of_long_lists_are_read():
    numbers = "\n".join(f"  %p{i} = f32[8]{{0}} parameter({i})" for i in range(6))
    call = 'custom-call(%p0, %p1, %p2, %p3, %p4, /*index=5*/%p5), custom_call_target="all"'
    assert kernel_bytes(f"ENTRY %main () -> f32[8] {{\n{numbers}\n  ROOT %out = f32[8]{{0}} {call}\n}}\n") == 7 * 8 * 4


def compiled(function, *shapes):
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.jit(function).lower(*shapes).compile().as_text()


def test_an_elementwise_chain_reads_and_writes_once():
    hlo = compiled(lambda x: jnp.tanh(x) * jnp.exp(x) + 1, (64, 64))
    assert kernel_bytes(hlo) == 2 * 4 * 64**2


def test_a_scan_counts_each_of_its_steps():
    def many(x, w):
        return jax.lax.scan(lambda c, w: (jnp.tanh(c @ w), None), x, w)[0]

    short, long = (kernel_bytes(compiled(many, (64, 64), (n, 64, 64))) for n in (16, 32))
    assert long - short == pytest.approx(short, rel=0.1)
    assert short > 16 * 3 * 4 * 64**2  # each step reads the carry and a weight and writes the carry
