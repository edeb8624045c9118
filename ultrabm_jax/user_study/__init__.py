"""A blind user study: a page on which people rate images of several methods, and the means of their answers.

    python -m ultrabm_jax.user_study page a=FOLDER b=FOLDER --output STUDY     # STUDY/index.html, STUDY/key.json
    python -m ultrabm_jax.user_study summarise STUDY/key.json ANSWERS.json ...

This is DRGN's user study (Table 3): 30 volunteers scored each image from 1.0 (worst) to 5.0 (best) for content
naturalness (CN) and colour deviation (CD). The paper does not state the step of the scale, the order of the images, or
whether the low-light image was shown; here the step is 0.5, the order is drawn for each rater, and the low-light image
is shown if a folder `input` is given. Methods have no names on the page.
"""
