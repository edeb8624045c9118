"""Estimates how a config scales, without the hardware. `python -m ultrabm_jax.scaling --help`.

footprint.py    bytes of the state on each device, from shapes and sharding rules
step.py         the training step, compiled for a mesh of virtual devices but never run
residuals.py    bytes that the forward pass stores for the backward pass
collectives.py  the collectives of a compiled program and the bytes that they send
measured.py     memory and communication of the compiled step, per device
chips.py        published numbers of chips
predict.py      predicted step time and weak-scaling efficiency
tables.py       the commands for virtual CPU devices
ahead.py        the command for the compilers of absent chips: targets.py, gpu_description.py, programs.py (inference),
                compiled_program.py, arithmetic.py (flops), roofline.py, largest_batch.py
"""
