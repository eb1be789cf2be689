"""Other published taggers, one file each: ways to join words and an image as fusions, with the same words and features.

They are written from the papers' descriptions; each file says what it leaves out and why. Their names are
`hamner.model.config.PEERS`. CNN-BiLSTM-CRF is a text stage (`OWN_WORDS`). BERT-CRF has no file: it is the model without
vision.
"""
