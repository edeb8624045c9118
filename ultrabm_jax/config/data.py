"""config.data: the data set, patches, loaders and synthetic darkness."""

from __future__ import annotations

from ml_collections import ConfigDict


def data() -> ConfigDict:
    """config.data: where examples come from, and how patches are cut from them."""
    return ConfigDict(
        {
            "dataset": "paired",  # paired | lol | lol_drgn | lol_v2_real | lol_v2_synthetic | rellisur | rellisur_sr |
            # sid_sony | sid_fuji | synthetic, or for eval.py only: lol1000 | test148 | voc144 | eld_sony | eld_nikon |
            # eld_canon70d | eld_canon700d | folder (without references); or the name of records such as lol/v1_scenes
            # (docs/data.md)
            # root, eval_root, photos, records and the paths of `mixture`: folders on disk, or gs:// and s3:// URLs
            "root": "",  # folder of the data set; for synthetic: folder of photos, or "skimage"
            "eval_root": "",  # evaluation images: a folder with low/ and high/, or of photos for synthetic;
            # empty: those of eval_split
            "eval_split": "auto",  # split to evaluate: train | val | test | auto: val during training, where it chooses
            # the best checkpoint, and test in eval.py
            "holdout": (0.0, 0.0),  # shares of the training images that become the val and the test split, in whole
            # scenes; only where eval_root is empty and the data set has no such split (test: paired, synthetic)
            "holdout_by": "scene",  # scene | image: single images of trained scenes, as in LOL's eval15
            # Several data sets in one run instead of `dataset`, each example from one of them by weight (docs/data.md):
            "mixture": (),  # ("DATASET:PATH", weight) or ("DATASET:PATH", weight, {field of config.data: value}), ...
            "eval_members": (),  # names of the members whose evaluation images are used; empty: all
            "downscale": "auto",  # auto | never: shrink low images that are as large as their reference by the scale
            "batch_size": 8,  # examples per step over all devices (of the first stage)
            "patch_size": 128,  # side of the low-resolution patch (of the first stage)
            "crop_offsets": "random",  # of patches: random | grid (multiples of the patch size, without overlap)
            "flips": "d4",  # of patches: d4 (all eight flips and rotations) | horizontal | none
            "zoom": (1.0,),  # enlargements, one drawn per patch, which then shows a window of patch_size / zoom
            "photos": "",  # folder of well-lit photos of other scenes, one patch in addition to each pair (DRGN)
            "records": "",  # folder of records (`python -m input_pipeline.prepare`, --data_dir), read instead of root
            "bursts": "all",  # of SID: all frames of a burst (RED) | first (SID)
            "leave_out": (),  # scenes of SID that are not used, such as the misaligned ("10034", "10045", "10172")
            "bayer_aug": "flips",  # of mosaics: flips (horizontal, vertical; the colour phase is kept) | preserve (all
            # eight flips and rotations, which keep the phase) | raw (flips that change the phase, as RED's code)
            "extra_inputs": (),  # computed from the whole dark image and cropped with it: equalised
            "loader": "tfdata",  # tfdata | threads (no TensorFlow needed): the same batches | in_memory: decoded
            # images stay on the devices and the step makes its batch; no TensorFlow, no waiting for the host
            "in_memory_placement": "auto",  # replicated: all images on every device | sharded: an equal share on each |
            # auto: replicated if they fit
            "workers": 4,  # examples prepared in parallel
            "cache_gib": 2.0,  # decoded images kept in memory, GiB; the rest is read again
            "on_unreadable": "error",  # error | skip: what to do with a file that cannot be read
            "assets": "",  # folder of weight files; empty: $ULTRABM_ASSETS, the user cache, packages, download
            "darkness": darkness(),
        }
    )


def darkness() -> ConfigDict:
    """Synthetic darkness (dataset `synthetic`); noise as Brooks et al. 2019, "Unprocessing", section 3.1."""
    return ConfigDict(
        {
            "ev": (-5.0, -2.5),  # exposure change in stops, uniform; RELLISUR's range
            "shot_noise": (1e-4, 1e-3),  # variance per unit of linear signal, log-uniform
            "read_noise_slope": 2.18,  # log(read) = slope * log(shot) + offset + N(0, sigma)
            "read_noise_offset": 1.20,
            "read_noise_sigma": 0.26,
            "bits": 8,  # quantisation of the dark image
            "seed": 0,  # of the evaluation images, whose darkness is fixed
        }
    )
