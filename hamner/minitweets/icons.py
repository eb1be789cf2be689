"""The icons of each type and each topic, divided over the splits.

A *concept* is one emoji (Twemoji in colour, Noto Emoji in line) or one brand's logo (Simple Icons). Concepts, not
files, are divided over the splits: no icon of test occurs in train in any style.

The lists hold icons whose type shows. An icon was left out if a linear probe on the backbone's features of its crops,
trained on the other icons (6-fold, folds by icon), told its type in less than three quarters of the cases.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

from hamner.corpora.post import SPLITS
from hamner.corpora.tags import TYPES

TOPICS = ("food", "travel", "fashion", "garden", "school")
SHARES = {"train": 0.62, "valid": 0.1, "test": 0.28}

_PEOPLE = (
    "🧒 👦 👧 🧑 👱 👨 🧔 👩 🧓 👴 👵 👮 🕵 👷 👸 👳 👲 🧕 🤵 👰 🎅 🧝 🧛 🧑‍⚕️ 🧑‍🎓 "
    "🧑‍🏫 🧑‍⚖️ 🧑‍🌾 🧑‍🔧 🧑‍🏭 🧑‍🔬 🧑‍🎨 🧑‍🚀 🧑‍🚒 🧑‍💼 🧑‍🦰 🧑‍🦱 🧑‍🦳 🧑‍🦲 "
    "🙋 🙅 🙆 💁 🙇 🤷 🙎 💆 👶 🦹 🧙 🤶 🤴 🧏 🫅 🧑‍💻 🧑‍🎄"
)
_BUILDINGS = "🏛 🏘 🏠 🏢 🏣 🏤 🏥 🏦 🏨 🏩 🏪 🏫 🏬 🏭 🏰 ⛪ 🕌 🛕 🕍 🛖 🌃 🏙 🌆 🌇 🌉 🏗"
_COUNTRIES = (
    "AD AE AR AT AU BA BB BD BE BG BO BW CA CH CL CM CO CR CU DE DO DZ EC EE EG ES ET FI FJ FR "
    "GB GE GH GR GT HN HR HU ID IE IL IN IS IT JO KE KH KW LA LB LK LT LU LV MA MC MG MK ML MM "
    "MN MT MU MX MY NG NO NZ OM PA PL PS PY QA RO RS SA SE SG SI SK SN TH UA US UY VE ZM"
)
_ANIMALS = (  # whole animals: at this size a cat's face resembles a person's
    "🐒 🦮 🐩 🐈 🫏 🐎 🦓 🐂 🐃 🐄 🐖 🐑 🐐 🐪 🐫 🦙 🦒 🐘 🦣 🦏 🦛 🐀 🐇 🐿 🦫 🦇 🦦 🦨 "
    "🦘 🦡 🦃 🐓 🐦 🐧 🕊 🦅 🦆 🦢 🦤 🦩 🦜 🪿 🐊 🦎 🐉 🦕 🦖 🐳 🐋 🐬 🦭 🐛 🐜 🦗 🪳 🕷 "
    "🦂 🦟 🪰 🦞 🦐"
)
_LOGOS = (
    "abbvie abstract airbnb argos atandt atlassian autodesk behance betfair bigbluebutton "
    "blogger bluesound bmw bosch buzzfeed caterpillar citroen codio couchbase crunchyroll "
    "deepgram dell dolby doordash dunzo ebay ericsson etsy expedia expo f5 facebook flickr "
    "foursquare framer fujitsu fubo glassdoor glovo googlechrome googledrive googleads hashnode "
    "hbo helpdesk here honda houzz hp hsbc hyundai intel jbl jellyfin klarna kucoin kx lg line "
    "linksys lyft make man mastercard mazda mcafee mcdonalds medium messenger meta metager mg "
    "microstrategy moneygram monzo naver netflix newrelic nike nubank nvidia oculus opel opera "
    "origin paypal pearson pinterest personio platzi playstation plex portableappsdotcom poly "
    "qualcomm quizlet quora revolut roblox roboflow roku sap schneiderelectric scrapbox sega "
    "sennheiser shazam shopify sky spotify square steam stellar strava stripe suzuki sketchfab "
    "target tata teamviewer telegram tiktok trello twitch uber ubisoft udemy uniqlo ups vagrant "
    "vimeo visa vk vodafone volkswagen volvo wazirx westernunion wish wix wykop x xero xiaomi "
    "youtube zalando zapier zendesk zenn zillow zoom"
)
_TOPIC_OBJECTS = {
    "food": "🥖 🥨 🥯 🥞 🧇 🧀 🍗 🍖 🥩 🍔 🍟 🍕 🌭 🥪 🌮 🌯 🫔 🥙 🍳 🥘 🍲 🥗 🍿 "
    "🍚 🍛 🍜 🍝 🍢 🍣 🍤 🍦 🍧 🍨 🍩 🍪 🍰 🧁 🥧 🍫 🍭 🍮",
    "travel": "✈ 🛫 🛩 🚁 🛳 ⛴ 🚢 ⛵ 🚤 🛥 🚂 🚃 🚄 🚅 🚆 🚈 🚊 🚝 🚞 🚋 🚌 🚍 🚎 🚐 🚕 🚖 🚗 🚘 🚙 🛻 🏍 🛵 🚲",
    "fashion": "👔 👕 👖 🧣 🧤 🧥 👗 👘 🥻 🩱 🩲 🩳 👙 👚 👛 👜 👝 👞 👟 🥾 🥿 👠 👡 🩰 👢 🥼 🦺",
    "garden": "💐 🌸 🏵 🌹 🌺 🌻 🌼 🌷 🪻 🪴 🌲 🌳 🌴 🌿 🍀 🍁 🍂 🍃",
    "school": "📚 📖 📕 📗 📘 📙 📓 📔 📒 📰 🗞 📄 📃 📑 📜 📋 📎 📏 📐 ✏ 🖊 🖍 📝 📁 📂 🗂 🗃 🗄 📅 📆 🗓",
}


class Concept(NamedTuple):
    """What one icon shows. `kind`: "emoji" or "flag" (Twemoji, Noto Emoji) or "logo" (Simple Icons)."""

    kind: str
    key: str


@dataclass(frozen=True)
class Icons:
    """The concepts of one split: `subjects` by entity type, in groups, and `topic_objects` by topic."""

    subjects: dict[str, list[list[Concept]]]
    topic_objects: dict[str, list[Concept]]

    def subject(self, type: str, line: bool, rng: random.Random) -> Concept:
        """Draw a random concept of this type; its groups (LOC has buildings and flags) have equal chances.

        In `line` there are no flags: a flag without colours is letters on a cloth, which resemble a logo.
        """
        groups = [group for group in self.subjects[type] if not (line and group[0].kind == "flag")]
        return rng.choice(rng.choice(groups))


def _emoji(text: str) -> list[Concept]:
    return [Concept("emoji", character) for character in text.split()]


def _flag(country: str) -> Concept:
    return Concept("flag", "".join(chr(0x1F1E6 + ord(letter) - ord("A")) for letter in country))


def _divide(concepts: list[Concept], rng: random.Random) -> dict[str, list[Concept]]:
    shuffled = rng.sample(concepts, len(concepts))
    train, valid = (round(len(concepts) * SHARES["train"]), round(len(concepts) * (SHARES["train"] + SHARES["valid"])))
    return dict(zip(SPLITS, (shuffled[:train], shuffled[train:valid], shuffled[valid:]), strict=True))


def icons_by_split(seed: int) -> dict[str, Icons]:
    """Divide the concepts, each into exactly one split: of each group 62 % into train, 10 % valid, 28 % test."""
    rng = random.Random(f"icons {seed}")
    groups = {
        "PER": [_emoji(_PEOPLE)],
        "LOC": [_emoji(_BUILDINGS), [_flag(country) for country in _COUNTRIES.split()]],
        "ORG": [[Concept("logo", slug) for slug in _LOGOS.split()]],
        "MISC": [_emoji(_ANIMALS)],
    }
    subjects = {type: [_divide(group, rng) for group in groups[type]] for type in TYPES}
    topic_objects = {topic: _divide(_emoji(_TOPIC_OBJECTS[topic]), rng) for topic in TOPICS}
    return {
        split: Icons(
            {type: [divided[split] for divided in subjects[type]] for type in TYPES},
            {topic: topic_objects[topic][split] for topic in TOPICS},
        )
        for split in SPLITS
    }
