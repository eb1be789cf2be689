"""Other published ways to join words and an image, each as a fusion: the same words, the same features, one file each.

They are written from the papers' descriptions; each file says what it leaves out and why. BERT-CRF has no file: it is
the model without vision. Their names are `hamner.model.config.PEERS`.
"""
