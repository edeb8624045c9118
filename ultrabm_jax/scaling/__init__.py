"""How a config scales: what can be known without the machines. `python -m ultrabm_jax.scaling --help`.

footprint.py    bytes of the state on each device, from shapes and rules
step.py         the real training step, compiled for a mesh of virtual devices; nothing is computed
collectives.py  which collectives a compiled program runs, and how much they send
measured.py     the two together: one line for each number of devices, and what must not be there
chips.py        published numbers of chips      predict.py    step time and efficiency out of them
"""
