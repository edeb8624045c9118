"""UltraBM / UltraIS (Gao et al.): network, blocks, importer of the released weights."""
