"""What all figures share: one style, and how images, regions and boxes are drawn."""
