"""Parts that all figures share: the style, and functions that draw images, regions, boxes and matrices."""
