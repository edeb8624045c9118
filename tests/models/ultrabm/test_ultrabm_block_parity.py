"""Parity of every UltraBM block with the authors' code, with rule-based weights and the importer's name map."""

import jax
import numpy as np
import pytest

from ultrabm_jax.layers.resampling import bicubic, bilinear, nearest
from ultrabm_jax.layers.selective_fusion import SelectiveFusion
from ultrabm_jax.layers.transposed_attention import LayerNorm
from ultrabm_jax.models.ultrabm import importer as names
from ultrabm_jax.models.ultrabm.context_unit import ContextBlock, ContextUnit
from ultrabm_jax.models.ultrabm.guidance import neighbourhood_difference, neighbourhood_edge, neighbourhood_maximum
from ultrabm_jax.models.ultrabm.modulation import ModulationUnit
from ultrabm_jax.models.ultrabm.rsmu import RSMU, FeatureExchange
from ultrabm_jax.storage.state_dict import StateDictReader

RTM = "reflectance.RTFU.RTM"


@pytest.fixture(scope="module")
def blocks(parity):
    return parity("open/blocks.npz")


@pytest.fixture(scope="module")
def readers(rule_weights):
    """{2: reader of the x2 network, 4: of the x4 network}, without the segmentation part."""

    def reader(scale):
        weights = rule_weights(f"ultrais_x{scale}")
        return StateDictReader({name: value for name, value in weights.items() if not name.startswith("seg.")})

    return {scale: reader(scale) for scale in (2, 4)}


def run(module, params, *inputs, mutable=False):
    return jax.jit(lambda p, *x: module.apply({"params": p}, *x, mutable=mutable))(params, *inputs)


@pytest.mark.parametrize("mode", ["luma", "inv_half"])
def test_guidance(blocks, mode):
    x = blocks["guid.x"]
    blocks.check(f"guid.{mode}", neighbourhood_difference(x, mode=mode))
    gray = blocks[f"guid.{mode}"][..., 1:]
    blocks.check(f"guid.{mode}_max", neighbourhood_maximum(gray))
    blocks.check(f"guid.{mode}_edge", neighbourhood_edge(gray))


def test_context_block(blocks, readers):
    params = names._context_unit(readers[2].scope("illumination.conv1"))["context"]
    y, recorded = run(ContextBlock(64), params, blocks["gc.x"], mutable=["statistics"])
    blocks.check("gc.y", y)
    blocks.check("gc.ctx", recorded["statistics"]["context"][:, 0, 0])


@pytest.mark.parametrize(("block", "prefix", "decoder"), [("cu_enc", "conv1", False), ("cu_dec", "conv6", True)])
def test_context_unit(blocks, readers, block, prefix, decoder):
    params = names._context_unit(readers[2].scope(f"reflectance.{prefix}"))
    blocks.check(f"{block}.y", run(ContextUnit(64, decoder=decoder), params, blocks[f"{block}.x"]))


def test_layer_norm(blocks, readers):
    params = {"norm": readers[2].scope("reflectance.sm66").norm("norm1.body")}
    blocks.check("ln.y", run(LayerNorm(), params, blocks["ln.x"]))


def test_illumination_modulation(blocks, readers):
    params = names._modulation_unit(readers[2].scope("reflectance.sm66"), guided=False)
    unit = ModulationUnit(64, skip="normalised")
    y, recorded = run(unit, params, blocks["imu.r"], blocks["imu.g"], mutable=["statistics"])
    blocks.check("imu.y", y)
    blocks.check("imu.attn_matrix", recorded["statistics"]["attention"]["attention"])


@pytest.mark.parametrize(
    ("block", "prefix"), [("smu384", "sm5"), ("smu48", "sm8"), ("smu59", "sm9"), ("smu384_nonint", "sm5")]
)
def test_semantic_modulation(blocks, readers, block, prefix):
    params = names._modulation_unit(readers[2].scope(f"reflectance.{prefix}"), guided=True)
    unit = ModulationUnit(64, skip="normalised")
    blocks.check(f"{block}.y", run(unit, params, blocks[f"{block}.r"], blocks[f"{block}.s"]))


@pytest.mark.parametrize(("block", "scale", "order"), [("skff2", 2, (0, 1)), ("skff3", 4, (0, 1, 2))])
def test_selective_fusion(blocks, readers, block, scale, order):
    params = names._fusion(readers[scale].scope(f"{RTM}.skff_top"), order)
    inputs = [blocks[f"{block}.{letter}"] for letter in "abc"[: len(order)]]
    blocks.check(f"{block}.y", run(SelectiveFusion(64), params, inputs))


@pytest.mark.parametrize(("block", "scale"), [("fsi2", 2), ("fsi3", 4)])
def test_feature_exchange(blocks, readers, block, scale):
    params = names._exchange(readers[scale].scope(RTM), branches=names.BRANCHES[scale])
    sizes = [1, 2, 4][: scale.bit_length()]
    inputs = [blocks[f"{block}.x{size}"] for size in sizes]
    outputs = run(FeatureExchange(64, order="sequential"), params, inputs)
    for size, y in zip(sizes, outputs, strict=True):
        blocks.check(f"{block}.y{size}", y)


@pytest.mark.parametrize(("block", "scale"), [("rsmu2", 2), ("rsmu4", 4)])
def test_rsmu(blocks, readers, block, scale):
    params = names._rsmu(readers[scale].scope("reflectance.RTFU"), scale=scale)
    rsmu = RSMU(64, scale=scale, step1="bilinear", fsi_order="sequential")
    y, sown = run(rsmu, params, blocks[f"{block}.x"], mutable=["intermediates"])
    blocks.check(f"{block}.y", y)
    blocks.check(f"{block}.rgb_preact", sown["intermediates"]["rgb_preact"][0])


def test_resampling(blocks):
    x = blocks["resize.x"]
    blocks.check("resize.bicubic2", bicubic(x, 2))
    blocks.check("resize.bilinear2", bilinear(x, 2))
    blocks.check("resize.bilinear4", bilinear(x, 4))
    blocks.check("resize.nearest2", nearest(x, (2 * x.shape[1], 2 * x.shape[2])))
    blocks.check("resize23.nearest_3x5", nearest(blocks["resize23.x"], (3, 5)))


def test_tolerances_can_fail(blocks):
    y = np.array(blocks["resize.bilinear2"])
    y[0, 0, 0, 0] += 1e-3
    with pytest.raises(AssertionError, match="max"):
        blocks.check("resize.bilinear2", y)
