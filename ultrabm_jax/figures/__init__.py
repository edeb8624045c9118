"""The papers' figures as PNG files, drawn from folders of images, evaluations, or a network and its input.

    python -m ultrabm_jax.figures COMMAND ... --output FIGURE.png

| command        | draws                                                     | figures of the papers                   |
|----------------|-----------------------------------------------------------|-----------------------------------------|
| `grid`         | methods x images, enlarged regions, scores, charts, boxes | UltraBM 2b, 5 to 10; DRGN 1, 4, 5, 7;   |
|                |                                                           | RED 1, 4 to 7, 9                        |
| `curves`       | a chart for each image with the curves of all methods     | DRGN 6; UltraBM 5 to 7 (lower parts)    |
| `scores`       | bars, or lines over exposure levels or amplifications     | UltraBM 2a, 9; RED 5 (values)           |
| `tradeoff`     | quality against parameters, operations or time            | UltraBM Tables 1 and 3; DRGN Table 2    |
| `maps`         | the intermediate images of a network                      | UltraBM 3 (u, v); DRGN 2 (I_D, I_B)     |
| `colour_ratio` | colour ratio maps of one scene at several exposures       | LoLiSRFlow                              |
"""
