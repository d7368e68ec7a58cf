"""The labels of the rows of a DLsite work page, in the languages of the site.

The crawler requests Japanese, but the site may answer in another language.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import chain

MAKERS = (
    ("サークル名", "サークル", "circle", "社团名", "社團名", "社团", "社團", "서클명", "서클"),
    ("ブランド名", "ブランド", "brand", "品牌名", "品牌", "브랜드명", "브랜드"),
    ("メーカー名", "メーカー", "maker", "制造商", "廠商名", "메이커명", "메이커"),
    ("出版社名", "出版社", "publisher", "출판사명", "출판사"),
    ("レーベル名", "レーベル", "label", "厂牌", "廠牌", "레이블"),
    ("著者", "author"),
)
"""The labels of the maker's row; the one who sells the work comes first."""

# fmt: off
FIELDS = {
    "series": (
        "シリーズ名", "シリーズ", "series name", "series", "系列名", "系列", "시리즈명", "시리즈", "serie", "série",
        "nama seri", "serier", "ชื่อซีรี่ส์", "bộ truyện",
    ),
    "voice_actors": (
        "声優", "voice actor", "voice actors", "声优", "聲優", "配音", "성우", "doblador", "synchronsprecher",
        "doubleur", "pengisi suara", "doppiatore/doppiatrice", "ator de voz", "röstskådespelare", "นักพากย์",
        "diễn viên lồng tiếng",
    ),
    "authors": (
        "作者", "著者", "author", "authors", "작가", "저자", "작자", "作家", "autor", "auteur", "penulis", "autore",
        "författare", "ผู้เขียน", "tác giả",
    ),
    "scenario_writers": (
        "シナリオ", "scenario", "剧情", "剧本", "劇情", "劇本", "脚本", "시나리오", "guión", "szenario", "scénario",
        "skenario", "cenário", "บทละคร", "kịch bản",
    ),
    "illustrators": (
        "イラスト", "illustration", "illustrator", "插画", "插畫", "插圖", "일러스트", "ilustración", "abbildung",
        "ilustrasi", "illustrazione", "ilustração", "ภาพประกอบ", "tranh minh họa",
    ),
    "musicians": (
        "音楽", "music", "音乐", "音樂", "음악", "música", "musik", "musique", "musica", "ดนตรี", "âm nhạc",
    ),
    "genres": (
        "ジャンル", "genre", "genres", "分类", "分類", "장르", "género", "genere", "gênero", "ประเภท", "thể loại",
    ),
}
RELEASED = (
    "release date", "release", "판매일", "발매일", "lanzamiento", "veröffentlicht", "date de sortie", "tanggal rilis",
    "data di rilascio", "lançamento", "utgivningsdatum", "วันที่ขาย", "ngày phát hành", "scheduled release date",
    "expected release date", "판매 예정일", "발매 예정일",
)
AGE = (
    "年齢指定", "age", "age ratings", "age rating", "年龄指定", "年齡指定", "연령 지정", "edad", "altersfreigabe",
    "âge", "batas usia", "età", "idade", "ålder", "การกำหนดอายุ", "độ tuổi chỉ định",
)
NOT_READ = (
    "予告開始日", "更新情報", "最終更新日", "作品形式", "ファイル形式", "対応言語", "その他", "イベント",
    "ファイル容量", "更新信息", "更新資訊", "作品类型", "作品類型", "文件形式", "檔案形式", "支持的语言", "對應語言",
    "文件容量", "檔案容量", "update information", "product format", "file format", "supported languages",
    "miscellaneous", "event", "file size", "갱신 정보", "작품 형식", "파일 형식", "대응 언어", "기타", "이벤트",
    "파일 용량",
)
# fmt: on
"""Labels that no field of an item needs; they show that a table is an outline."""

# 予告開始日 is when a work was announced, not released
_RELEASED = re.compile(r"(?:予定|预定|預定)?(?:販売|発売|配信|贩卖|販賣|发售|發售)(?:開始|开始)?(?:予定|预定|預定)?日")


def plain_label(text: str) -> str:
    """Return a label in the form in which labels are compared: NFKC, lower case, without spaces and final colon."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).strip(":").casefold()


def is_release_label(label: str) -> bool:
    """Return whether the row of `label`, a plain one, holds a release date."""
    return label in _PLAIN_RELEASED or _RELEASED.fullmatch(label) is not None


def is_known_label(label: str) -> bool:
    """Return whether `label`, a plain one, is known as that of an outline's row."""
    return label in _PLAIN_KNOWN or is_release_label(label)


_PLAIN_RELEASED = frozenset(map(plain_label, RELEASED))
_PLAIN_KNOWN = frozenset(map(plain_label, (*chain.from_iterable(FIELDS.values()), *AGE, *NOT_READ)))
