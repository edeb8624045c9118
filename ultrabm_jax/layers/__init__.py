"""What several networks share. Features are (b, h, w, c); c is the width, k a level of a U-Net, s a scale."""
