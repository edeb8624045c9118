"""DRGN and LW-DRGN (Jiang et al., AAAI 2022): generators, discriminators, blocks."""
