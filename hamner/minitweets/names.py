"""The names in the posts.

*Ambiguous* names are invented and suggest no type; each occurs with all four types equally often. *Clear* names occur
with one type only. *Default* names suggest a type, as clear names do ("Port Moss" is a place), but an image of the
words' topic overrules it. Of each kind, some names are for train and others are held out for valid and for test.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from hamner.corpora.tags import TYPES

_AMBIGUOUS = (
    "Kelso|Orva|Tamrin|Quillon|Vessa|Marlo|Zerrin|Halden|Corvane|Esker|Galvo|Hestan|Jorvik|Kestrin|Lumara|Merrow|"
    "Nolwen|Oberin|Pellan|Quorra|Rovan|Sorrel|Ulmo|Verrin|Wexley|Xandor|Yarrow|Zephin|Brisco|Calder|Elmira|Falken|"
    "Gendry|Holvar|Kirana|Larkin|Mondrel|Nivala|Ostrin|Pavane|Rasken|Sandrel|Tirwen|Umbrel|Valmont|Wendor|Yolanto|"
    "Zamrell|Ardesh|Belrose|Cassio|Dorvan|Nova Kell|Sol Verin|Oro Lune|Red Harrow|Alta Mir|Kora Vale|Luma Rey|"
    "Zen Arbor|Piko Nai|Terra Quill|Echo Marl|Silver Nook|"
    "Abrenna|Aldovar|Ambrel|Arvika|Bastrel|Bellan|Berwyn|Borrel|Cadwyn|Carvel|Celdor|Corwen|Dalvar|Davren|"
    "Delmira|Druvan|Eldra|Emrik|Fendrel|Fiorra|Galdry|Garvin|Gildan|Harlow|Havren|Idrelle|Ilvane|Isarn|Jendal|"
    "Joriana|Kaldra|Kelvan|Korvel|Landra|Lorvane|Lysander|Malvern|Mirell|Morvane|Nadrel|Nerissa|Norvik|Odrane|"
    "Palwick|Perrin|Quenby|Ravel|Rennick|Rostan|Selwyn|Silvane|Tavish|Thorwen|Ulric|Vandrel|Varnell|Velora|"
    "Wyndell|Yelwin|Blue Harlan|Green Tavo|Lento Vey|Miro Lane|Tall Wren"
)
_CLEAR = {
    "PER": (
        "Dana Amir Priya Lukas Ines Tomasz Keiko Omar Freya Mateo Nadia Colin Wanjiru Elif Jonas Bianca Rahul Sofie "
        "Diego Hana",
        "Whitlock Okafor Lindqvist Moreau Petrov Castellano Iyer Brandt Nakamura Delgado Osei Fairweather Kowalska "
        "Haddad",
    ),
    "LOC": (
        "Port Lake Mount New Fort Saint Upper East Cape Little",
        "Ashby Merrin Dunmore Caspar Ellery Tolland Greaves Hartwell Linden Moss Pembry Rook Stanmere Thorne",
    ),
    "ORG": (
        "Brightline Nordwell Quantia Ferrostar Bluepeak Omnivex Harborlight Zentrica Cloudberry Ironleaf Pixelforge "
        "Solvanta",
        "Labs Bank Motors Records Group Airlines Media Foods Systems Energy United Studios",
    ),
    "MISC": (
        "Captain Sir Princess Doctor Lady Professor Baby Lord Miss Grumpy Major Tiny",
        "Whiskers Barksalot Waddles Fluffington Nibbles Prickles Snugglepaws Hoots Petalina Scales Bumblebee Mossy "
        "Purrcy Quackers",
    ),
}


@dataclass(frozen=True)
class Names:
    """The names of one split.

    seen, unseen        ambiguous names that occur in train, and ambiguous names of this split alone (none for train)
    clear, clear_unseen (name, type) of clear names, likewise
    default             default name -> the type that it suggests, of this split
    default_unseen      those of them that do not occur in train
    """

    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    clear: tuple[tuple[str, str], ...]
    clear_unseen: tuple[tuple[str, str], ...]
    default: dict[str, str]
    default_unseen: frozenset[str]


def names_by_split(seed: int) -> dict[str, Names]:
    """The names of each split.

    Train has 96 ambiguous names; valid and test share 16 of them and have 16 more each. With 32 names in train, a text
    tagger learnt them by heart and left half of the unseen names untagged.

    Train has 24 clear names of each type; valid has 12 of these and 6 more, test the other 12 and 12 more. Train has 12
    default names of each type; valid has 2 of these and 2 more, test 4 of these and 4 more.
    """
    rng = random.Random(f"names {seed}")
    ambiguous = rng.sample(_AMBIGUOUS.split("|"), 128)
    train = tuple(ambiguous[:96])
    clear: dict[str, list[tuple[str, str]]] = {}
    for type in TYPES:
        first, second = _CLEAR[type]
        pairs = [f"{one} {two}" for one in first.split() for two in second.split()]
        clear[type] = [(name, type) for name in rng.sample(pairs, 60)]

    def part(start: int, end: int) -> tuple[tuple[str, str], ...]:
        return tuple(pair for type in TYPES for pair in clear[type][start:end])

    def default(seen: tuple[int, int], unseen: tuple[int, int]) -> tuple[dict[str, str], frozenset[str]]:
        return dict(part(*seen) + part(*unseen)), frozenset(name for name, _ in part(*unseen))

    return {
        "train": Names(train, (), part(0, 24), (), *default((42, 54), (54, 54))),
        "valid": Names(train[:16], tuple(ambiguous[96:112]), part(0, 12), part(24, 30), *default((42, 44), (54, 56))),
        "test": Names(train[:16], tuple(ambiguous[112:]), part(12, 24), part(30, 42), *default((42, 46), (56, 60))),
    }
