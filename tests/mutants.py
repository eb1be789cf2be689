"""Mutation testing of hamner/model: `make mutants` changes one line at a time and asks whether tests/model notices.

Each mutant is made in a temporary copy of the package; the working tree is never touched. A mutant is killed when a
test fails; tests/model/test_equations.py runs first, the other tests of tests/model only for mutants that survive it.
The exit status is 1 when a mutant survives that is not equal to the original by algebra, and when the original text of
a mutant is not in its file exactly once.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
EQUATIONS = "tests/model/test_equations.py"


class Mutant(NamedTuple):
    """In hamner/model/`file`, `original` becomes `changed`; `equal` says why both compute the same, if they do."""

    name: str
    file: str
    original: str
    changed: str
    equal: str = ""


ADAPTER, ATTENTION, TEXT, VISION, RELEVANCE, INTERACTION, HAM, DECODER, MODEL = (
    f"{name}.py"
    for name in (
        "adapter",
        "attention",
        "text",
        "intra_modality",
        "relevance",
        "interaction",
        "ham",
        "decoder",
        "hamner",
    )
)

MUTANTS = (
    # Adapter
    Mutant("another SCALE", ADAPTER, "SCALE = 2.0", "SCALE = 1.0"),
    Mutant("an adapter that starts at random", ADAPTER, "torch.zeros(linear", "torch.rand(linear"),
    Mutant("no adapter's output", ADAPTER, " + SCALE * (x @ self.down.T @ self.up.T)", ""),
    Mutant("an adapted layer that learns", ADAPTER, "linear.requires_grad_(False)", "linear.requires_grad_(True)"),
    Mutant("an encoder that learns beside its adapter", ADAPTER, "    encoder.requires_grad_(False)", "    pass"),
    Mutant("an adapter around an adapter", ADAPTER, "layer.linear if isinstance(layer, LowRank) else layer", "layer"),
    # Attention
    Mutant("another SCALE", ATTENTION, "SCALE = 8.0", "SCALE = 4.0"),
    Mutant("SCALE unused", ATTENTION, "SCALE * unit(q)", "unit(q)"),
    Mutant("queries of any length", ATTENTION, "SCALE * unit(q)", "SCALE * q"),
    Mutant("keys of any length", ATTENTION, "@ unit(k)", "@ k"),
    Mutant("bias subtracted", ATTENTION, "logits = logits + bias", "logits = logits - bias"),
    Mutant("no bias", ATTENTION, "logits = logits + bias", "pass"),
    Mutant("no message", ATTENTION, "result = result + message(weights)", "pass"),
    Mutant(
        "messages the wrong way", VISION, "gathered = by_node @ hidden", "gathered = by_node @ hidden.transpose(1, 2)"
    ),
    Mutant("messages without their bias", VISION, " + by_node.sum(-1, keepdim=True) * bias", ""),
    Mutant("message bias not weighted", VISION, "by_node.sum(-1, keepdim=True) * bias", "bias"),
    Mutant(
        "heads of messages mixed",
        VISION,
        "by_node = weights.transpose(1, 2)",
        "by_node = weights.flip(1).transpose(1, 2)",
    ),
    Mutant("keys and values exchanged", ATTENTION, "        k, v = self.key_value", "        v, k = self.key_value"),
    Mutant("no output layer", ATTENTION, "return self.out(result), weights", "return result, weights"),
    Mutant(
        "attention mask dropped",
        ATTENTION,
        "mask = mask[:, None, None, :]",
        "mask = torch.ones_like(mask)[:, None, None, :]",
    ),
    Mutant("groups ignored", ATTENTION, "if groups is None else softmax_by_group", "if True else softmax_by_group"),
    Mutant(
        "shares ignored",
        ATTENTION,
        "return torch.cat(weights, -1) * torch.cat(shares, -1)",
        "return torch.cat(weights, -1)",
    ),
    Mutant("masked groups keep their share", ATTENTION, " * real.any(-1, keepdim=True)  # (B, 1, ..., 1)", ""),
    Mutant("masked rows not 0", ATTENTION, " * mask.any(-1, keepdim=True).to(logits.dtype)", ""),
    Mutant(
        "softmax mask dropped",
        ATTENTION,
        "torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, torch.finfo(dtype).min)",
        "torch.zeros_like(mask, dtype=dtype)",
    ),
    Mutant("ReLU for GELU", ATTENTION, "nn.GELU()", "nn.ReLU()"),
    Mutant(
        "no LayerNorm before the feed-forward",
        ATTENTION,
        "super().__init__(nn.LayerNorm(width), ",
        "super().__init__(nn.LayerNorm(width, elementwise_affine=False), ",
    ),
    Mutant(
        "feed-forward as wide as the model",
        ATTENTION,
        "nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)",
        "nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)",
    ),
    Mutant("zero_init does nothing", ATTENTION, "nn.init.zeros_(parameter)", "pass"),
    Mutant(
        "keys without a bias",
        ATTENTION,
        "self.key_value(memory)",
        "(self.key_value(memory) - nn.functional.pad(self.key_value.bias.chunk(2)[0], (0, query.shape[-1])))",
        "softmax is invariant to a bias of the keys",
    ),
    Mutant("dropout drops another share", ATTENTION, "round(share * 65_536)", "round(share * 32_768)"),
    Mutant("dropout does not make up for what it drops", ATTENTION, ".mul_(65_536 / (65_536 - self.dropped))", ""),
    Mutant(
        "dropout draws one decision for four elements",
        ATTENTION,
        "-(-count // 4), dtype=torch.int64",
        "count, dtype=torch.int64",
    ),
    Mutant(
        "dropout in evaluation",
        ATTENTION,
        "if not self.training or not self.dropped:\n            return values\n        return",
        "if not self.dropped:\n            return values\n        return",
    ),
    Mutant(
        "no dropout draws random numbers",
        ATTENTION,
        "if not self.training or not self.dropped:\n            return values\n        return",
        "if not self.training:\n            return values\n        return",
    ),
    # Text
    Mutant("mix not a softmax", TEXT, "self.mix.softmax(0)", "self.mix"),
    Mutant(
        "layers of a frozen encoder not standardised",
        TEXT,
        "layers = layers if self.mix is None else nn",
        "layers = layers if True else nn",
    ),
    Mutant("layers standardised without a mix", TEXT, "layers = layers if self.mix is None else nn", "layers = nn"),
    Mutant(
        "a trained encoder standardised",
        TEXT,
        "            if self.frozen:\n                embedded",
        "            if True:\n                embedded",
    ),
    Mutant(
        "embeddings of a frozen encoder not standardised",
        TEXT,
        "embedded = nn.functional.layer_norm(embedded, embedded.shape[-1:])",
        "pass",
    ),
    Mutant("padding convolved", TEXT, "embedded = embedded * batch.word_mask[:, :, None]", "embedded = embedded"),
    Mutant("convolution of width 5", TEXT, "kernel_size=7, padding=3", "kernel_size=5, padding=2"),
    Mutant("no local term", TEXT, "text = text + self.local(", "self.local("),
    Mutant("no dropout on words", TEXT, "return self.dropout(text), last", "return text, last"),
    Mutant("first layer for the last", TEXT, "words = last = layers[:, :, -1]", "words = last = layers[:, :, 0]"),
    Mutant("sentence of mixed words", TEXT, "return self.dropout(text), last", "return self.dropout(text), words"),
    Mutant("the piece after the first", TEXT, "layer[rows, batch.first_piece]", "layer[rows, batch.first_piece + 1]"),
    Mutant(
        "embeddings of the wrong piece",
        TEXT,
        "batch.pieces.gather(1, batch.first_piece)",
        "batch.pieces.gather(1, batch.first_piece * 0)",
    ),
    Mutant("embeddings not detached", TEXT, "(first).detach()", "(first)"),
    Mutant("no attention mask for the encoder", TEXT, "attention_mask=batch.piece_mask.long()", "attention_mask=None"),
    Mutant("projection starts at random", TEXT, "nn.init.eye_(self.project.weight)", "pass"),
    Mutant(
        "a frozen encoder is trained", TEXT, "encoder.requires_grad_(not self.frozen)", "encoder.requires_grad_(True)"
    ),
    Mutant("a frozen encoder in training mode", TEXT, "self.encoder.eval()", "pass"),
    Mutant("pooler kept", TEXT, 'encoder.register_module("pooler", None)', "pass"),
    # Sentence and vision
    Mutant(
        "sentence without its mask",
        VISION,
        "masked_softmax(self.score(words).squeeze(-1), word_mask)",
        "self.score(words).squeeze(-1).softmax(-1)",
    ),
    Mutant(
        "sentence not normed", VISION, "return self.norm(self.project(torch.einsum", "return (self.project(torch.einsum"
    ),
    Mutant("channel dropout not alike", VISION, "features[:, :1] if self.alike else features", "features"),
    Mutant("channel dropout always alike", VISION, "features[:, :1] if self.alike else features", "features[:, :1]"),
    Mutant(
        "channel dropout in evaluation", VISION, "if not self.training or not self.dropped:", "if not self.dropped:"
    ),
    Mutant("no class", VISION, " + self.label(images.classes)", ""),
    Mutant("no score", VISION, " + self.score(images.scores[:, :, None])", ""),
    Mutant(
        "unknown class learns", VISION, "nn.Embedding(classes, width, padding_idx=0)", "nn.Embedding(classes, width)"
    ),
    Mutant("unknown class random", VISION, "nn.init.zeros_(self.label.weight[0])", "pass"),
    Mutant(
        "classes and scores start large", VISION, "nn.init.normal_(added, std=0.02)", "nn.init.normal_(added, std=1.0)"
    ),
    Mutant("scene is the first region", VISION, "scene = G.mean(1, keepdim=True)", "scene = G[:, :1]"),
    Mutant(
        "grid of posts without an image",
        VISION,
        "grains[0] = G, image_mask.expand(G.shape[:2])",
        "grains[0] = G, torch.ones_like(image_mask).expand(G.shape[:2])",
    ),
    Mutant(
        "objects of posts without an image",
        VISION,
        "images.object_mask & image_mask, images.box_mask & image_mask",
        "images.object_mask, images.box_mask",
    ),
    Mutant("unknown boxes in O_spa", VISION, "grains[2] = O_spa, box_mask", "grains[2] = O_spa, object_mask"),
    Mutant("grains exchanged", VISION, "grains[1] = O_sem, object_mask", "grains[1] = O, object_mask"),
    Mutant("dot product for cosine", VISION, "unit = nn.functional.normalize(aspects, dim=-1)", "unit = aspects"),
    Mutant(
        "one aspect for four",
        VISION,
        "self.aspects(nodes).unflatten(-1, (ASPECTS, -1))",
        "self.aspects(nodes)[:, :, None].expand(-1, -1, ASPECTS, -1)",
    ),
    Mutant("semantic block without LayerNorm", VISION, "x = self.norm(nodes)", "x = nodes"),
    Mutant("semantic residual dropped", VISION, "nodes = nodes + related", "nodes = related"),
    Mutant(
        "semantic feed-forward residual dropped",
        VISION,
        "nodes = nodes + self.feed_forward(nodes)\n        return nodes[:, -",
        "nodes = self.feed_forward(nodes)\n        return nodes[:, -",
    ),
    Mutant(
        "spatial feed-forward residual dropped",
        VISION,
        "return nodes + self.feed_forward(nodes), weights",
        "return self.feed_forward(nodes), weights",
    ),
    Mutant(
        "scene unmasked",
        VISION,
        "torch.cat([image_mask, object_mask], 1)",
        "torch.cat([torch.ones_like(image_mask), object_mask], 1)",
    ),
    Mutant(
        "bias of the first head for all",
        VISION,
        "self.bias(hidden).permute(0, 3, 1, 2)",
        "self.bias(hidden)[..., :1].permute(0, 3, 1, 2)",
    ),
    Mutant("bias transposed", VISION, "permute(0, 3, 1, 2), partial", "permute(0, 3, 2, 1), partial"),
    Mutant("no absolute geometry", VISION, "nodes = nodes + self.position(fourier(boxes))", "pass"),
    Mutant(
        "spatial weights without the mask",
        VISION,
        "weights = masked_softmax(bias, box_mask[:, None, None, :])",
        "weights = bias.softmax(-1)",
    ),
    Mutant(
        "no output layer of geometry",
        VISION,
        "nodes = nodes + self.out(received(weights))",
        "nodes = nodes + received(weights)",
    ),
    Mutant("centre is a corner", VISION, "(boxes[..., 2:] + boxes[..., :2]) / 2", "boxes[..., :2]"),
    Mutant("no least size", VISION, ".clamp(min=NEAR_ZERO)", ""),
    Mutant("another least size", VISION, "NEAR_ZERO = 1e-3", "NEAR_ZERO = 1e-2"),
    Mutant("frequencies of another base", VISION, "2.0 ** torch.arange", "3.0 ** torch.arange"),
    Mutant("place not centred", VISION, "torch.cat([2 * place - 1, ", "torch.cat([place, "),
    Mutant("sine and cosine exchanged", VISION, "waves.sin(), waves.cos()", "waves.cos(), waves.sin()"),
    Mutant(
        "phi reversed",
        VISION,
        "offset = centre[:, None] - centre[:, :, None]",
        "offset = centre[:, :, None] - centre[:, None]",
    ),
    Mutant("offset in sizes of the other box", VISION, "(offset / size[:, :, None])", "(offset / size[:, None])"),
    Mutant("no clamp", VISION, ".clamp(-10, 10)", ""),
    Mutant("another clamp", VISION, ".clamp(-10, 10)", ".clamp(-5, 5)"),
    Mutant(
        "log ratios inverted",
        VISION,
        "(size[:, None] / size[:, :, None]).log()",
        "(size[:, :, None] / size[:, None]).log()",
    ),
    Mutant(
        "no logarithm of ratios",
        VISION,
        "(size[:, None] / size[:, :, None]).log()",
        "(size[:, None] / size[:, :, None])",
    ),
    Mutant("IoU counts the overlap twice", VISION, "area[:, :, None] - common)", "area[:, :, None])"),
    Mutant("overlap of boxes apart", VISION, "(high - low).clamp(min=0).prod(-1)", "(high - low).prod(-1)"),
    Mutant("corners exchanged", VISION, "low = torch.maximum(", "low = torch.minimum("),
    Mutant(
        "furthest for nearest",
        VISION,
        "nearest = (to_others <= to_others.min(-1, keepdim=True).values) & others",
        "nearest = (distance >= (distance * others).max(-1, keepdim=True).values) & others",
    ),
    Mutant("unknown boxes may be nearest", VISION, "others = box_mask[:, None] & ~torch.eye", "others = ~torch.eye"),
    Mutant(
        "each box its own nearest",
        VISION,
        "to_others = distance.masked_fill(~others, math.inf)",
        "to_others = distance",
    ),
    Mutant("right for left", VISION, "[offset[..., 0] < 0, ", "[offset[..., 0] > 0, "),
    Mutant("below for above", VISION, "offset[..., 1] < 0, nearest]", "offset[..., 1] > 0, nearest]"),
    # Relevance
    Mutant("another SHARPNESS", RELEVANCE, "SHARPNESS = 4.0", "SHARPNESS = 1.0"),
    Mutant(
        "SHARPNESS unused in rho",
        RELEVANCE,
        "(SHARPNESS * torch.cosine_similarity(self.of_text",
        "(torch.cosine_similarity(self.of_text",
    ),
    Mutant(
        "beta sharpened",
        RELEVANCE,
        "masked_softmax(fit, present)\n        if",
        "masked_softmax(SHARPNESS * fit, present)\n        if",
    ),
    Mutant(
        "dot product for cosine in beta",
        RELEVANCE,
        "torch.cosine_similarity(asked[:, None], torch.stack(of_grains, 1), dim=-1)",
        "(asked[:, None] * torch.stack(of_grains, 1)).sum(-1)",
    ),
    Mutant(
        "dot product for cosine in rho",
        RELEVANCE,
        "torch.cosine_similarity(self.of_text(s), image, dim=-1)",
        "(self.of_text(s) * image).sum(-1)",
    ),
    Mutant("rho of the grains' plain mean", RELEVANCE, "(beta[:, None] @ v).squeeze(1)", "v.mean(1)"),
    Mutant(
        "image not projected",
        RELEVANCE,
        "image = self.of_image((beta[:, None] @ v).squeeze(1))",
        "image = (beta[:, None] @ v).squeeze(1)",
    ),
    Mutant("sentence not projected for rho", RELEVANCE, "self.of_text(s), image", "s, image"),
    Mutant("sentence not projected for beta", RELEVANCE, "asked, absent = self.asked(s),", "asked, absent = s,"),
    Mutant(
        "one text vector for rho and beta",
        RELEVANCE,
        "asked, absent = self.asked(s),",
        "asked, absent = self.of_text(s),",
    ),
    Mutant(
        "sentence not projected for the pooling",
        RELEVANCE,
        "query = self.query(s)[:, :, None]",
        "query = s[:, :, None]",
    ),
    Mutant(
        "beta ignores relevance",
        RELEVANCE,
        "masked_softmax(fit, present)\n        if",
        "masked_softmax(0 * fit, present)\n        if",
    ),
    Mutant(
        "grains' own layers exchanged", RELEVANCE, "self.of_grain[grain](v[:, g])", "self.of_grain[grain](v[:, g - 1])"
    ),
    Mutant("regions' weights without their grain's share", RELEVANCE, "share[:, None] * pool", "pool"),
    Mutant("no 1/sqrt(d) in the pooling", RELEVANCE, " / math.sqrt(s.shape[-1])", ""),
    Mutant(
        "pooling without the mask",
        RELEVANCE,
        "masked_softmax((of_g @ query).squeeze(-1), mask)",
        "(of_g @ query).squeeze(-1).softmax(-1)",
    ),
    Mutant("v not normed", RELEVANCE, "v = self.vision_norm(torch.stack(read, 1))", "v = torch.stack(read, 1)"),
    Mutant(
        "absent grains in beta",
        RELEVANCE,
        "        beta = masked_softmax(fit, present)",
        "        beta = masked_softmax(fit, torch.ones_like(present))",
    ),
    Mutant("rho without anything to see", RELEVANCE, "rho.masked_fill(~present.any(-1), 0.0), beta", "rho, beta"),
    # Interaction
    Mutant(
        "regions read T0", INTERACTION, "self.regions[layer](M, T, word_mask", "self.regions[layer](M, words, word_mask"
    ),
    Mutant(
        "words read M0",
        INTERACTION,
        "T, of_words = read(T, M, memory.mask",
        "T, of_words = read(T, memory.regions, memory.mask",
    ),
    Mutant(
        "words start anew",
        INTERACTION,
        "T, of_words = read(T, M, memory.mask",
        "T, of_words = read(words, M, memory.mask",
    ),
    Mutant(
        "regions scaled by rho",
        INTERACTION,
        "self.regions[layer](M, T, word_mask)",
        "self.regions[layer](M, T, word_mask, rho)",
    ),
    Mutant(
        "words without shares",
        INTERACTION,
        "memory.mask, rho, grains)\n            word_to_region",
        "memory.mask, rho)\n            word_to_region",
    ),
    Mutant(
        "words without rho",
        INTERACTION,
        "read(T, M, memory.mask, rho, grains)",
        "read(T, M, memory.mask, torch.ones_like(rho), grains)",
    ),
    Mutant(
        "regions read padding",
        INTERACTION,
        "self.regions[layer](M, T, word_mask)",
        "self.regions[layer](M, T, torch.ones_like(word_mask))",
    ),
    Mutant("first regions for all", INTERACTION, "self.regions[layer](M", "self.regions[0](M"),
    Mutant(
        "a useless reader of regions",
        INTERACTION,
        "config.iterations if config.coattention else config.iterations - 1",
        "config.iterations",
    ),
    Mutant(
        "co-attention reads M0",
        INTERACTION,
        "self.coattention(T, M, word_mask",
        "self.coattention(T, memory.regions, word_mask",
    ),
    Mutant(
        "co-attention reads T0", INTERACTION, "self.coattention(T, M, word_mask", "self.coattention(words, M, word_mask"
    ),
    Mutant(
        "co-attention without rho",
        INTERACTION,
        "word_mask, memory.mask, rho, grains)\n        weights",
        "word_mask, memory.mask, torch.ones_like(rho), grains)\n        weights",
    ),
    Mutant(
        "attention of a reader not scaled",
        INTERACTION,
        "x = _added(x, self.dropout(read), scale)",
        "x = _added(x, self.dropout(read), None)",
    ),
    Mutant(
        "reader's residual dropped",
        INTERACTION,
        "x = _added(x, self.dropout(read), scale)",
        "x = _added(torch.zeros_like(x), self.dropout(read), scale)",
    ),
    Mutant(
        "feed-forward of a reader not scaled",
        INTERACTION,
        "return _added(x, self.dropout(self.feed_forward(x)), scale)",
        "return _added(x, self.dropout(self.feed_forward(x)), None)",
    ),
    Mutant(
        "feed-forward residual of a reader dropped",
        INTERACTION,
        "return _added(x, self.dropout(self.feed_forward(x)), scale)",
        "return _added(0 * x, self.dropout(self.feed_forward(x)), scale)",
    ),
    Mutant(
        "no dropout on what is read",
        INTERACTION,
        "x = _added(x, self.dropout(read), scale)",
        "x = _added(x, read, scale)",
    ),
    Mutant("no dropout on the feed-forward", INTERACTION, "self.dropout(self.feed_forward(x))", "self.feed_forward(x)"),
    Mutant("memory not normed", INTERACTION, "self.memory_norm(memory), mask", "memory, mask"),
    Mutant("reader's query not normed", INTERACTION, "self.attention(self.norm(x), ", "self.attention(x, "),
    Mutant("reader's attention starts at random", INTERACTION, "zero_init(self.attention.out)", "pass"),
    Mutant("reader's feed-forward starts at random", INTERACTION, "zero_init(self.feed_forward[-1])", "pass"),
    Mutant("co-attention starts at random", INTERACTION, "zero_init(self.out)", "pass"),
    Mutant("no 1/sqrt(d) in co-attention", INTERACTION, " / math.sqrt(T.shape[-1])", ""),
    Mutant("affinity without W_c", INTERACTION, "self.affinity(T) / math", "T / math"),
    Mutant(
        "co-attention not normed",
        INTERACTION,
        "T, M = self.norm(words), self.memory_norm(regions)",
        "T, M = words, regions",
    ),
    Mutant(
        "co-attention over masked regions",
        INTERACTION,
        "softmax_by_group(A, region_mask[:, None, :], grains)",
        "softmax_by_group(A, torch.ones_like(region_mask)[:, None, :], grains)",
    ),
    Mutant(
        "co-attention over padding",
        INTERACTION,
        "masked_softmax(A.transpose(1, 2), word_mask[:, None, :])",
        "A.transpose(1, 2).softmax(-1)",
    ),
    Mutant("C2 is C1", INTERACTION, "C2 = over_regions @ (over_words @ T)", "C2 = C1"),
    Mutant("C2 of bare words", INTERACTION, "(over_words @ T)", "(over_words @ words)"),
    Mutant(
        "gate inputs exchanged",
        INTERACTION,
        "self.gate(torch.cat([T, C1, C2], -1))",
        "self.gate(torch.cat([T, C2, C1], -1))",
    ),
    Mutant(
        "gate reads bare words",
        INTERACTION,
        "self.gate(torch.cat([T, C1, C2], -1))",
        "self.gate(torch.cat([words, C1, C2], -1))",
    ),
    Mutant("no gate", INTERACTION, "rho[:, None, None] * z * self", "rho[:, None, None] * self"),
    Mutant(
        "output inputs exchanged", INTERACTION, "self.out(torch.cat([C1, C2], -1))", "self.out(torch.cat([C2, C1], -1))"
    ),
    Mutant("co-attention not scaled by rho", INTERACTION, "H = words + rho[:, None, None] * z", "H = words + z"),
    Mutant("co-attention adds to normed words", INTERACTION, "H = words + rho", "H = T + rho"),
    Mutant(
        "no dropout on co-attention",
        INTERACTION,
        "z * self.dropout(self.out(torch.cat([C1, C2], -1)))",
        "z * self.out(torch.cat([C1, C2], -1))",
    ),
    # Decoder and model
    Mutant("no dropout before the classifier", DECODER, "self.classify(self.dropout(words))", "self.classify(words)"),
    Mutant("loss is a sum", DECODER, ".logsumexp(1) - score).mean()", ".logsumexp(1) - score).sum()"),
    Mutant("loss without the end scores of the tags", DECODER, " + crf.end_transitions[last]", ""),
    Mutant(
        "loss without the end scores of all paths",
        DECODER,
        "(forward + crf.end_transitions).logsumexp(1)",
        "forward.logsumexp(1)",
    ),
    Mutant(
        "transitions reversed",
        DECODER,
        "(forward[:, :, None] + crf.transitions)",
        "(forward[:, :, None] + crf.transitions.T)",
    ),
    Mutant(
        "the last word of the batch ends every post",
        DECODER,
        "tags.gather(1, word_mask.sum(1, keepdim=True) - 1).squeeze(1)",
        "tags[:, -1]",
    ),
    Mutant("loss of padding's words", DECODER, ".squeeze(2) * real).sum(1)", ".squeeze(2)).sum(1)"),
    Mutant("loss of padding's moves", DECODER, " * real[:, 1:]).sum(1)", ").sum(1)"),
    Mutant(
        "all paths through padding",
        DECODER,
        "forward = torch.where(there[:, None], longer, forward)",
        "forward = longer",
    ),
    Mutant("forbidden starts allowed", DECODER, "crf.start_transitions.masked_fill_(start, FORBIDDEN)", "pass"),
    Mutant("forbidden moves allowed", DECODER, "crf.transitions.masked_fill_(moves, FORBIDDEN)", "pass"),
    Mutant("forbidden moves transposed", DECODER, "masked_fill_(moves, FORBIDDEN)", "masked_fill_(moves.T, FORBIDDEN)"),
    Mutant("an I- may follow another type", DECODER, "to[2:] != old[2:]", "old == 'O'"),
    Mutant(
        "the model's own CRF changed",
        DECODER,
        "crf = deepcopy(self.crf).float().requires_grad_(False)",
        "crf = self.crf.requires_grad_(False)",
    ),
    Mutant(
        "a new CRF at each call",
        DECODER,
        "crf = deepcopy(self.crf).float()",
        "crf = CRF(len(self.tags), batch_first=True); crf.load_state_dict(self.crf.state_dict()); crf = crf.float()",
    ),
    Mutant("marginals of padding", DECODER, " * word_mask[:, :, None]", ""),
    Mutant("sentence reads T", MODEL, "Seen(words, batch.word_mask, layer, ", "Seen(words, batch.word_mask, words, "),
    Mutant("fusion skipped", MODEL, "float32(self.decoder(fused.words))", "float32(self.decoder(words))"),
    Mutant("no auxiliary loss", MODEL, "loss = loss + fused.loss", "pass"),
    Mutant("stage 3 skipped", HAM, "return Fused(words, rho", "return Fused(seen.words, rho"),
    Mutant("rho of fusion lost", HAM, "return Fused(words, rho, beta", "return Fused(words, 1 - rho, beta"),
    Mutant(
        "rho for beta",
        MODEL,
        "Output(emissions, batch.word_mask, loss, rho, beta, kept)",
        "Output(emissions, batch.word_mask, loss, beta, rho, kept)",
    ),
)


def check(mutants: tuple[Mutant, ...]) -> list[str]:
    """A sentence for each mutant whose original text is not in its file exactly once."""
    stale = []
    for mutant in mutants:
        count = (ROOT / "hamner" / "model" / mutant.file).read_text(encoding="utf-8").count(mutant.original)
        if count != 1:
            stale.append(
                f"hamner/model/{mutant.file} holds {mutant.original!r} {count} times, not once ({mutant.name})"
            )
    return stale


class FirstFailure:
    """A pytest plugin that remembers the first test that failed."""

    name = ""

    def pytest_runtest_logreport(self, report: object) -> None:
        if report.failed and not self.name:  # type: ignore[attr-defined]
            self.name = report.nodeid.rpartition("::")[2]  # type: ignore[attr-defined]

    def pytest_collectreport(self, report: object) -> None:
        if report.failed and not self.name:  # type: ignore[attr-defined]
            self.name = "the import of the tests"


def killer(mutant: Mutant | None, copy_of: Path) -> str:
    """The test that fails for this mutant, "" for none. Runs in a process of its own, which it leaves changed."""
    import pytest

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(copy_of, copy, dirs_exist_ok=True)
        if mutant is not None:
            file = copy / "hamner" / "model" / mutant.file
            file.write_text(file.read_text(encoding="utf-8").replace(mutant.original, mutant.changed), encoding="utf-8")
        os.chdir(copy)
        sys.path.insert(0, str(copy))
        import hamner

        assert Path(hamner.__file__).is_relative_to(copy), "the tests would run on the working tree"
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:warnings", "--tb=no", f"--rootdir={copy}"]
        options.append("--assert=plain")  # rewriting the tests' assertions would take longer than the tests
        for tests in ([EQUATIONS], ["tests/model", f"--ignore={EQUATIONS}"]):
            first = FirstFailure()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                status = pytest.main([*options, *tests], [first])
            if status != pytest.ExitCode.OK:
                return first.name or f"pytest ended with {status!r}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants tested at once")
    parser.add_argument("--only", default="", help="only mutants whose name holds this text")
    options = parser.parse_args()
    if stale := check(MUTANTS):
        print(*stale, "bring tests/mutants.py up to date", sep="\n", file=sys.stderr)
        return 1
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name]

    sys.dont_write_bytecode = True  # a mutant may have the size and time of another
    os.environ["HF_HUB_OFFLINE"] = "1"
    import accelerate  # noqa: F401  imported once, here; each mutant's process is a fork of this one
    import pandas  # noqa: F401
    import pooch  # noqa: F401
    import pytest  # noqa: F401
    import requests  # noqa: F401
    import torch
    import torchcrf  # noqa: F401
    import transformers.models.bert.modeling_bert  # noqa: F401

    torch.set_num_threads(1)
    unexpected = []
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "pyproject.toml", folder)
        for part in ("hamner", "tests/model", "docs"):
            shutil.copytree(ROOT / part, Path(folder) / part, ignore=shutil.ignore_patterns("__pycache__"))
        with multiprocessing.get_context("fork").Pool(options.jobs, maxtasksperchild=1) as pool:
            if failed := pool.apply(killer, (None, Path(folder))):
                print(f"without any mutant {failed} fails: mend that first", file=sys.stderr)
                return 1
            results = pool.imap(partial(killer, copy_of=Path(folder)), chosen, chunksize=1)
            for mutant, test in zip(chosen, results, strict=True):
                verdict = f"killed by {test}" if test else "SURVIVES"
                if not test and mutant.equal:
                    verdict = f"survives, equal by algebra: {mutant.equal}"
                elif not test:
                    unexpected.append(mutant)
                print(f"{mutant.file:>18}  {mutant.name}: {verdict}", flush=True)
    print(f"{len(chosen)} mutants, {len(unexpected)} survive that are not equal to the original by algebra")
    return bool(unexpected)


if __name__ == "__main__":
    sys.exit(main())
