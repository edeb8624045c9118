"""RED (Lamba and Mitra, CVPR 2021): network, blocks, importer of the released weights."""
