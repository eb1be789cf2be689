"""Every figure of the notebooks, one function each: numbers in, a matplotlib Figure out."""
