"""A byte-pair vocabulary in the format of the CLIP tokenizer, learnt from captions."""

import json
import re
from collections import Counter
from pathlib import Path

from config import BPE_MERGES, TEXT_LENGTH

START, END = "<|startoftext|>", "<|endoftext|>"
_WORD = re.compile(r"[a-z]+|[0-9]|[^\sa-z0-9]+")


def _byte_alphabet() -> list[str]:
    """CLIP's printable stand-ins for the 256 byte values, in its order."""
    ranges = (("!", "~"), ("¡", "¬"), ("®", "ÿ"))
    printable = [c for low, high in ranges for c in range(ord(low), ord(high) + 1)]
    missing = 256 - len(printable)
    return [chr(c) for c in printable] + [chr(256 + i) for i in range(missing)]


def _merge(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    merged, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i:i + 2]) == pair:
            merged.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def learn(captions: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges; ties are broken by the pair itself."""
    counts = Counter(word for c in captions for word in _WORD.findall(c.lower()))
    words = {word: [*word[:-1], word[-1] + "</w>"] for word in counts}
    merges = []
    while len(merges) < BPE_MERGES:
        pairs = Counter()
        for word, symbols in words.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += counts[word]
        if not pairs:
            break
        pair, seen = max(pairs.items(), key=lambda item: (item[1], item[0]))
        if seen < 2:
            break
        merges.append(pair)
        words = {word: _merge(symbols, pair) for word, symbols in words.items()}
    alphabet = _byte_alphabet()
    tokens = alphabet + [symbol + "</w>" for symbol in alphabet]
    tokens += ["".join(pair) for pair in merges] + [START, END]
    return {token: i for i, token in enumerate(tokens)}, merges


def save(folder: Path, vocabulary, merges) -> None:
    folder.mkdir(parents=True, exist_ok=True)

    def write(name, value):
        text = json.dumps(value, ensure_ascii=False, indent=None if name == "vocab.json" else 2)
        (folder / name).write_text(text + "\n", encoding="utf-8")

    write("vocab.json", vocabulary)
    lines = ["#version: 0.2"] + [" ".join(pair) for pair in merges]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    write("special_tokens_map.json", special)
    write("tokenizer_config.json", {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": TEXT_LENGTH,
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
        **special,
    })


def load(folder: Path):
    """The transformers tokenizer read from `folder`."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(folder)


def token_ids(tokenizer, captions: list[str]):
    return tokenizer(
        captions, padding="max_length", max_length=TEXT_LENGTH,
        truncation=True, return_tensors="pt",
    ).input_ids
