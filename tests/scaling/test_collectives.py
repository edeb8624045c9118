"""Reading collectives from a hand-written program and from programs compiled by XLA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.scaling.arithmetic import product_flops
from ultrabm_jax.scaling.collectives import Collective, read_collectives, totals
from ultrabm_jax.scaling.measured import edge_bytes, gathered_activations

HLO = """HloModule jit_step, entry_computation_layout={()->f32[]}

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  ROOT %sum = f32[] add(%a, %b)
}

%region_0 (arg: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %x = f32[8,4]{1,0} get-tuple-element(%arg), index=1
  %sums = f32[8,4]{1,0} all-reduce(%x), replica_groups=[2,4]<=[8], to_apply=%add, metadata={op_name="jit(step)/loop"}
  ROOT %t = (s32[], f32[8,4]) tuple(%i, %reduced)
}

%region_1 (arg: (s32[], f32[8,4])) -> pred[] {
  ROOT %less = pred[] compare(%i, %n), direction=LT
}

ENTRY %main (p: f32[8,4]) -> f32[] {
  %p = f32[8,4]{1,0} parameter(0)
  %pair = (f32[10]{0}, bf16[6]{0}) all-reduce(%u, %v), replica_groups={{0,1},{2,3}}, to_apply=%add
  %start = (f32[2,4]{1,0}, f32[8,4]{1,0}) all-gather-start(%p), replica_groups={{0,1,2,3}}, dimensions={0}
  %done = f32[8,4]{1,0} all-gather-done(%start)
  %halo = f32[1,4]{1,0} collective-permute(%p), source_target_pairs={{0,1},{1,2}}
  %w = (s32[], f32[8,4]) while(%t), condition=%region_1, body=%region_0, backend_config={"known_trip_count":{"n":"5"}}
  ROOT %out = f32[] constant(0)
}
"""


def test_a_program_is_read_with_groups_tuples_and_loops():
    found = {(c.kind, c.source): c for c in read_collectives(HLO, devices=8)}
    assert len(found) == 4
    loop = found["all-reduce", "jit(step)/loop"]
    assert (loop.bytes, loop.devices, loop.times) == (128, 4, 5)
    assert loop.sent == 2 * 3 / 4 * 128 * 5
    pair = found["all-reduce", ""]
    assert (pair.bytes, pair.devices, pair.times) == (40 + 12, 2, 1)
    gather = found["all-gather", ""]
    assert (gather.shapes, gather.devices) == ((("f32", (8, 4)),), 4)
    assert gather.sent == 3 / 4 * 128
    halo = found["collective-permute", ""]
    assert (halo.bytes, halo.sent) == (16, 16)


def test_totals_count_each_execution():
    found = totals(read_collectives(HLO, devices=8))
    assert found["collectives"] == {"all-reduce": 6, "all-gather": 1, "collective-permute": 1}
    assert found["bytes"] == {"all-reduce": 5 * 128 + 40 + 12, "all-gather": 128, "collective-permute": 16}
    assert found["sent"] == 5 * 2 * 3 / 4 * 128 + 2 * 1 / 2 * 52 + 3 / 4 * 128 + 16
    assert totals([]) == {"collectives": {}, "bytes": {}, "sent": 0}


@pytest.mark.parametrize(
    ("groups", "devices"),
    [
        ("mesh['data'=4,'fsdp'=2,'spatial'=1] {'data'}", 4),
        ("mesh['data'=4,'fsdp'=2,'spatial'=1] {'data','fsdp'}", 8),
        ("mesh['a'=4,'b'=2], device_ids=([2,4]T(1,0)) {'a':(1)2,'b'}", 4),
        ("[2,4]<=[8]", 4),
        ("{{0,1},{2,3},{4,5},{6,7}}", 2),
        ("{}", 8),
    ],
)
def test_all_notations_of_groups_are_read(groups, devices):
    (found,) = read_collectives(HLO.replace("[2,4]<=[8]", groups), devices=8)[:1]
    assert (found.source, found.devices) == ("jit(step)/loop", devices)


def test_a_program_of_one_device_has_none():
    compiled = jax.jit(lambda x: jnp.sin(x).sum()).lower(np.ones((4, 4), np.float32)).compile()
    assert read_collectives(compiled.as_text(), devices=1) == []


@pytest.mark.parametrize(
    ("shape", "state", "edge", "named"),
    [
        ((3, 3, 64, 64), (3, 3, 64, 64), 0, False),  # a kernel
        ((8, 128, 32, 64), (3, 3, 64, 64), 0, True),
        ((1, 8, 128, 64), (3, 3, 64, 64), edge_bytes(8, width=128), False),  # a row of each of eight devices
        ((1, 9, 128, 64), (3, 3, 64, 64), edge_bytes(8, width=128), True),
        ((16,), (3, 3, 64, 64), 0, False),  # small
    ],
)
def test_only_large_gathers_of_activations_are_reported(shape, state, edge, named):
    gather = Collective("all-gather", (("f32", shape),), 8, 1, "conv")
    lines = gathered_activations([gather], {"kernel": np.zeros(state, np.float32)}, edge=edge)
    assert [line.startswith("all-gather f32") for line in lines] == [True] * named


def test_operations_of_a_devices_part_count_for_all_devices():
    mesh = jax.sharding.AbstractMesh((4, 2), ("data", "fsdp"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    rows, whole = jax.sharding.PartitionSpec("data"), jax.sharding.PartitionSpec()
    part = jax.shard_map(
        lambda a, b: a @ b, mesh=mesh, in_specs=(rows, whole), out_specs=rows, axis_names={"data"}, check_vma=False
    )
    x, kernel = jax.ShapeDtypeStruct((8, 3), jnp.float32), jax.ShapeDtypeStruct((3, 5), jnp.float32)
    assert product_flops(jax.jit(part).trace(x, kernel).jaxpr.jaxpr) == 2 * 8 * 3 * 5
