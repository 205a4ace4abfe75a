"""The 1,000 ordinary captions that `memscope calibrate --prompts ordinary` scores.

    python scripts/captions/make_captions.py > data/captions/ordinary.txt

A grammar of our own over word lists of our own; nothing is taken from a caption data set. Captions and this file are
dedicated to the public domain (CC0 1.0). They are everyday descriptions of things, places and people without names, brands or
works of art, so that hardly any can be the caption of one particular picture.
"""

import random

SIZES = ["small", "large", "old", "new", "wooden", "empty", "bright", "dusty", "round", "narrow", "plain", "worn"]
COLORS = ["red", "blue", "green", "yellow", "white", "black", "brown", "grey", "orange", "pale"]
THINGS = ["bicycle", "kettle", "ladder", "lamp", "table", "bucket", "umbrella", "suitcase", "basket", "clock", "chair", "boat",
          "fence", "bench", "cart", "mug", "blanket", "shelf", "broom", "lantern", "piano", "tent", "wheelbarrow", "backpack"]
ANIMALS = ["dog", "cat", "horse", "goat", "sheep", "duck", "crow", "rabbit", "cow", "donkey", "hen", "squirrel"]
PEOPLE = ["a woman", "a man", "two children", "a farmer", "a baker", "an old couple", "a group of hikers", "a cyclist",
          "a gardener", "a fisherman", "a student", "a nurse"]
DOING = ["waiting for a bus", "reading a newspaper", "carrying a box", "washing windows", "looking at the sea",
         "walking in the rain", "repairing a roof", "picking apples", "drinking tea", "feeding pigeons", "crossing a bridge",
         "resting in the shade"]
PLACES = ["in a kitchen", "on a beach", "beside a river", "in front of a barn", "in a quiet street", "on a hill", "in a garden",
          "at a market", "near a railway station", "under a tree", "in a workshop", "on a balcony", "in a snowy field",
          "at the edge of a forest"]
FOODS = ["soup", "bread", "grapes", "pancakes", "rice", "beans", "cheese", "noodles", "plums", "porridge"]
VIEWS = ["a photo of", "a view of", "a close-up of", "a sketch of", "a watercolor of", "a picture of"]
TIMES = ["at dawn", "at noon", "in the evening", "at night", "in winter", "in autumn", "on a foggy day", "after the rain"]
LANDS = ["a valley", "a harbor", "a village", "a lake", "a pine forest", "a wheat field", "a mountain road", "a canal",
         "a stone bridge", "an orchard"]


def article(words):
    return ("an " if words[0] in "aeiou" else "a ") + words


def caption(rng):
    pick = rng.choice
    thing = lambda: article(f"{pick(SIZES)} {pick(THINGS)}") if rng.random() < 0.5 else article(f"{pick(COLORS)} {pick(THINGS)}")
    animal = lambda: article(f"{pick(COLORS)} {pick(ANIMALS)}")
    return pick([
        lambda: f"{thing()} {pick(PLACES)}",
        lambda: f"{thing()} and {thing()} {pick(PLACES)}",
        lambda: f"{animal()} beside {thing()}",
        lambda: f"{animal()} {pick(PLACES)} {pick(TIMES)}",
        lambda: f"{pick(PEOPLE)} {pick(DOING)} {pick(TIMES)}",
        lambda: f"{pick(PEOPLE)} with {thing()} {pick(PLACES)}",
        lambda: f"{pick(VIEWS)} {pick(LANDS)} {pick(TIMES)}",
        lambda: f"{pick(VIEWS)} {thing()} {pick(PLACES)}",
        lambda: f"a bowl of {pick(FOODS)} and {pick(FOODS)} on {thing()}",
        lambda: f"{pick(LANDS)} {pick(TIMES)}, {pick(['seen from above', 'with low clouds', 'with birds', 'in soft light'])}",
    ])()


def main():
    rng = random.Random(20261126)
    captions = {}
    while len(captions) < 1000:
        captions[caption(rng)] = None
    print("\n".join(captions))


if __name__ == "__main__":
    main()
