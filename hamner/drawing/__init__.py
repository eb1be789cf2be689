"""What all figures share: one style, and how pictures, regions and boxes are drawn."""
