import json
import time
import unicodedata
from pathlib import Path

import pytest

from crawler.sources import SourceError
from crawler.sources.dlsite import NotAWorkPage, RegionBlocked, page_address, parse_work_page
from crawler.sources.markup import MAX_TAGS, decode_markup
from osusume.items import Item, Section

FIXTURES = Path(__file__).parents[1] / "fixtures" / "dlsite"
REDUCED_PAGES = Path(__file__).parents[3] / "shared" / "data" / "dlsite_pages"
URL = "https://www.dlsite.com/home/work/=/product_id/RJ01234567.html"


def fixture(name: str) -> str:
    return (FIXTURES / f"{name}.html").read_text(encoding="utf-8")


def url_of(item_id: str, kind: str = "work") -> str:
    return f"https://www.dlsite.com/home/{kind}/=/product_id/{item_id}.html"


def work(rows: str = "", parts: str = "", rest: str = "", title: str = "題") -> Item:
    """Return the item of a small work page."""
    return parse_work_page(
        f'<html><body><h1 id="work_name">{title}</h1><table id="work_outline"><tr><th>その他</th><td>x</td></tr>{rows}'
        f'</table><div class="work_parts_container">{parts}</div>{rest}</body></html>',
        URL,
    )


def outline(label: str, cell: str) -> Item:
    return work(outline_row(label, cell))


def outline_row(label: str, cell: str) -> str:
    return f"<tr><th>{label}</th><td>{cell}</td></tr>"


def part(text: str) -> str:
    return f'<div class="work_parts type_text"><div class="work_parts_area"><p>{text}</p></div></div>'


def test_a_page_of_2026_gives_every_field() -> None:
    item = parse_work_page(fixture("work_2026"), url_of("RJ01500101") + "?locale=ja_JP")
    assert item == Item(
        item_id="RJ01500101",
        source="dlsite",
        url=url_of("RJ01500101"),
        title="【30分×3夜】雨の図書館で、 司書さんと静かに本を閉じる夜",
        published_on="2026-09-21",
        image_url="https://img.dlsite.jp/modpub/images2/work/doujin/X/RJ01500101_img_main.jpg",
        price=1320,
        age_rating="all",
        attributes={
            "circle": ["紙魚とランプ"],
            "series": ["雨宿り三部作"],
            "voice_actors": ["朝霧こより", "水無瀬あお"],
            "authors": ["灯野まどか"],
            "scenario_writers": ["灯野まどか", "青柳ふみ"],
            "illustrators": ["白樺さく"],
            "musicians": ["波打ち際レコード"],
            "genres": ["癒し", "環境音", "バイノーラル/ダミヘ", "ささやき"],
        },
        sections=[
            Section(
                None,
                "閉館まぎわの図書館。\n窓の外は、雨。\n\n司書さんが 小さな声で、今日さいごの一冊を読んでくれます。\n"
                "　※ 眠ってしまっても&構いません。",
            ),
            Section("登場人物", "司書さん（CV：朝霧こより）\n静けさが好き。"),
            Section("場所", "閲覧室\n書庫\n鍵がかかっている"),
            Section("トラックリスト", "開館のあいさつ\n雨音と背表紙"),
            Section("絵だけの部分", ""),
            Section("ご注意", "イヤホンの音量にお気をつけください。"),
        ],
    )


def test_a_page_of_2016_gives_every_field() -> None:
    item = parse_work_page(fixture("work_2016"), "http://www.dlsite.com/home/work/=/product_id/RJ174001.html")
    assert item == Item(
        item_id="RJ174001",
        source="dlsite",
        url=url_of("RJ174001"),
        title="縁側で、祖母と麦茶を飲む昼さがり",
        published_on="2016-03-18",
        image_url="https://img.dlsite.jp/modpub/images2/work/doujin/X/RJ174001_img_sam.jpg",
        price=1188,
        age_rating="all",
        attributes={
            "circle": ["縁側舎"],
            "series": ["夏休み帳"],
            "voice_actors": ["南野しずく", "北原つむぎ"],
            "genres": ["癒し", "田舎", "日常/生活"],
        },
        sections=[Section(None, "風鈴の音がする。\n\n祖母は麦茶を注ぎながら、\nむかしの夏の話をはじめた。")],
    )


def test_a_page_in_english_gives_every_field() -> None:
    item = parse_work_page(fixture("work_english"), url_of("RJ126001"))
    assert (item.published_on, item.price, item.age_rating) == ("2014-01-11", 1430, "r15")
    assert item.attributes == {
        "circle": ["Tide Pool Radio"],
        "series": ["Harbour Tales"],
        "voice_actors": ["Ada Finch", "Noel Reed"],
        "authors": ["R. Marsh"],
        "scenario_writers": ["R. Marsh"],
        "illustrators": ["Fern Hill"],
        "musicians": ["Low Tide"],
        "genres": ["Healing", "Ambient"],
    }


def test_an_announced_work_keeps_its_address_and_has_no_date() -> None:
    item = parse_work_page(fixture("work_announced"), url_of("RJ01600001", "announce"))
    assert item.url == url_of("RJ01600001", "announce")
    assert (item.published_on, item.price, item.age_rating) == (None, None, "r15")


def test_a_work_of_music_is_read_without_the_rows_it_lacks() -> None:
    item = parse_work_page(fixture("work_music"), url_of("RJ01500102"))
    assert (item.price, item.age_rating, item.values("genres")) == (770, None, [])
    assert item.sections == [Section("収録曲", "引き潮\n満ち潮")]


@pytest.mark.skipif(not REDUCED_PAGES.is_dir(), reason="the reduced pages of ../shared are not on this machine")
@pytest.mark.parametrize(
    ("page", "published_on", "price", "fields", "sections"),
    [
        ("announce_RJ275695_SOU_2020-03", None, None, 7, 1),
        ("girls_RJ217995_SOU_2021-11", "2018-01-26", 1980, 7, 1),
        ("maniax_RJ126928_SOU_image_2020-10", "2014-01-11", 990, 5, 4),
        ("maniax_RJ173248_SOU_2016-12", "2016-03-18", 1188, 2, 1),
    ],
)
def test_reduced_pages_of_the_site_are_read(
    page: str, published_on: str | None, price: int | None, fields: int, sections: int
) -> None:
    floor, item_id = page.split("_")[:2]
    html = (REDUCED_PAGES / f"{page}.html").read_text(encoding="utf-8")
    item = parse_work_page(html, f"https://www.dlsite.com/{floor}/work/=/product_id/{item_id}.html")
    assert (item.item_id, item.title) == (item_id, f"作品タイトル{item_id}")
    assert item.published_on == published_on
    assert price is None or item.price == price
    assert (len(item.attributes), len(item.sections)) == (fields, sections)
    assert (item.age_rating, item.values("circle")) == ("adult", ["サークル名1"])


@pytest.mark.parametrize("html", [fixture("work_region_blocked"), '<html><h1 id="work_name">題</h1></html>'])
def test_a_page_that_shows_its_title_alone_is_region_blocked(html: str) -> None:
    with pytest.raises(RegionBlocked, match="RJ01234567"):
        parse_work_page(html, URL)


@pytest.mark.parametrize(
    "html",
    [
        *map(fixture, ("challenge", "listing_2026", "listing_empty")),
        *("", "   ", "https://www.dlsite.com/", "メンテナンス中", "<?xml version='1.0'?><a/>"),
    ],
    ids=lambda html: html[:10],
)
def test_another_page_or_text_is_no_work_page(html: str) -> None:
    with pytest.raises(NotAWorkPage, match="RJ01234567"):
        parse_work_page(html, URL)


def test_a_page_without_title_is_no_work_page() -> None:
    with pytest.raises(NotAWorkPage, match="no title"):
        work(title=" &nbsp;\u200b ")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.95])
def test_a_page_that_is_cut_off_is_no_work_page(share: float) -> None:
    html = fixture("work_2026")
    with pytest.raises(NotAWorkPage, match="cut off"):
        parse_work_page(html[: int(len(html) * share)], URL)


def test_a_work_page_that_names_no_id_is_no_work_page() -> None:
    html = fixture("work_2026").replace("/product_id/", "/maker_id/")
    with pytest.raises(NotAWorkPage, match="RJ01234567"):
        parse_work_page(html, "https://www.dlsite.com/home/")


def test_the_errors_are_source_errors() -> None:
    assert issubclass(RegionBlocked, SourceError)
    assert issubclass(NotAWorkPage, SourceError)


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://www.dlsite.com/maniax/work/=/product_id/rj01500101.html/?a=1", "maniax/work/=/product_id/RJ01500101"),
        ("http://www.dlsite.com/girls/announce/=/product_id/RJ01500101.html", "girls/announce/=/product_id/RJ01500101"),
        ("saved.html", "home/work/=/product_id/RJ01500101"),
    ],
)
def test_the_address_is_canonical_and_comes_from_the_url_or_else_the_page(url: str, canonical: str) -> None:
    item = parse_work_page(fixture("work_2026"), url)
    assert (item.item_id, item.url) == ("RJ01500101", f"https://www.dlsite.com/{canonical}.html")


@pytest.mark.parametrize(
    ("cell", "published_on"),
    [
        ("2026年09月21日 16時", "2026-09-21"),
        ("<a>２０２６年９月１日</a>", "2026-09-01"),
        ("2026/9/1", "2026-09-01"),
        ("Sep/01/2026", "2026-09-01"),
        ("2026年02月30日", None),
        ("04/07/2026", "2026-07-04"),
        ("04.07.2026", "2026-07-04"),
        ("31/31/2026", None),
        ("Foo/01/2026", None),
        ("近日", None),
    ],
)
def test_dates_are_read_in_every_form_and_never_made_up(cell: str, published_on: str | None) -> None:
    assert outline("販売日", cell).published_on == published_on


@pytest.mark.parametrize(
    ("cell", "rating"),
    [
        ('<span class="icon_GEN">x</span>', "all"),
        ('<span class="icon_R15">x</span>', "r15"),
        ('<span class="icon_ADL">x</span>', "adult"),
        ("全年齢", "all"),
        ("R-15", "r15"),
        ("Ｒ１５", "r15"),
        ("18禁", "adult"),
        ("R18", "adult"),
        ("18+", "adult"),
        ("G-rated", "all"),
        ("未定", None),
        ("15세 이용가", "r15"),
        ("18세 이용가", "adult"),
        ("R‐15", "r15"),
        ('<a href="/home/fsr/=/age_category/1/from/icon.work">x</a>', "all"),
        ('<a href="/home/fsr/=/age_category/2">x</a>', "r15"),
        ('<a href="/home/fsr/=/age_category/3/from/icon.work">x</a>', "adult"),
        *((text, "all") for text in ("Todas las edades", "ทุกวัย", "全年齡", "全年龄", "전연령", "전 연령")),
        ("18금", "adult"),
        ("성인", "adult"),
    ],
)
def test_ages_are_read_from_icon_link_or_text_in_any_language(cell: str, rating: str | None) -> None:
    assert outline("年齢指定", cell).age_rating == rating


@pytest.mark.parametrize(
    ("label", "cell", "names"),
    [
        ("声優", "<a>甲</a> / <a>乙</a><br><a>甲</a>", ["甲", "乙"]),
        ("声優", "甲 / 乙、丙", ["甲", "乙", "丙"]),
        ("声優", '<a class="btn_follow">フォロー</a><a>甲</a>', ["甲"]),
        ("シリーズ名", "海と山／空", ["海と山／空"]),
        ("ジャンル", "<a>が</a><a>か\u3099</a><a> </a><a>{{ genre }}</a>", ["が"]),
        ("声優", "", []),
    ],
)
def test_names_are_those_of_the_links_or_else_of_the_text(label: str, cell: str, names: list[str]) -> None:
    field = {"声優": "voice_actors", "シリーズ名": "series", "ジャンル": "genres"}[label]
    assert outline(label, cell).values(field) == names


@pytest.mark.parametrize(
    "label", ["サークル名", "ブランド名", "メーカー名", "出版社名", "レーベル", "著者", "Circle", "Brand"]
)
def test_the_maker_is_chosen_by_its_label(label: str) -> None:
    maker = (
        '<table id="work_maker"><tr><th>ホームページ</th><td><span class="maker_name">誤り</span></td></tr>'
        f'<tr><th>{label}</th><td><span class="maker_name"><a>正しい名</a></span><a>フォロー</a></td></tr></table>'
    )
    assert work(rest=maker).values("circle") == ["正しい名"]


def statistics(price: str, item_id: str = "RJ01234567") -> str:
    return f'<div hidden class="ga4_event_item_{item_id}" data-price="{price}"></div>'


def shown(price: str) -> str:
    return f'<div id="work_price"><span class="price">{price}</span></div>'


@pytest.mark.parametrize(
    ("block", "price"),
    [
        (statistics("1100") + shown("9円"), 1100),
        (statistics("1100", item_id="RJ01999999"), None),
        (statistics("安い") + shown("9円"), 9),
        (shown("{{ price }}円") + shown("1,320<i>円</i>"), 1320),
        (f"<s>{shown('2,000円')}</s>" + shown("1,000円"), 1000),
        *((shown(free), 0) for free in ("0円", "無料", "無料！", "免費", "무료", "Free")),
        (shown("1,320円"), 1320),
        (shown("無料体験版あり"), None),
        (shown("￥１，１００"), 1100),
        (shown("$9.99"), None),
        (shown("12.34 USD / 1,980 JPY"), 1980),
        (shown("9" * 5_000 + "円"), None),
        ('<script>var contents = {"detail": [{"price": 1000}]};</script>', None),
    ],
)
def test_the_price_is_the_works_own_in_yen(block: str, price: int | None) -> None:
    assert work(rest=block).price == price


@pytest.mark.parametrize(
    ("address", "image_url"),
    [
        ("//img.dlsite.jp/a_img_main.jpg", "https://img.dlsite.jp/a_img_main.jpg"),
        ("http://img.dlsite.jp/a.jpg", "https://img.dlsite.jp/a.jpg"),
        ("https://www.dlsite.com/a.jpg", "https://www.dlsite.com/a.jpg"),
        ("https://img.dlsite.jp.example/a.jpg", None),
        ("https://img.dlsite.jp@evil.example/a.jpg", None),
        ("https://evil.example\\img.dlsite.jp/a.jpg", None),
        ("javascript:alert(1)", None),
        ("data:image/png;base64,AAAA", None),
        ("https://img.dlsite.jp/a|b>.jpg", None),
        ("http://[", None),
    ],
)
def test_an_image_is_https_on_the_sites_hosts_or_none(address: str, image_url: str | None) -> None:
    assert work(rest=f'<div class="product-slider-data"><div data-src="{address}"></div></div>').image_url == image_url


def test_the_shared_image_stands_in_where_the_slider_has_none() -> None:
    head = '<meta property="og:image" content="https://img.dlsite.jp/og.jpg">'
    assert work(rest=head).image_url == "https://img.dlsite.jp/og.jpg"


def test_texts_are_in_one_normal_form_without_invisible_characters() -> None:
    text = work(parts=part("か\u3099く\u200bせい\u202e&nbsp;\u2460<br><br><br><br>終わり　 ")).sections[0].text
    assert text == "がくせい ①\n\n終わり"
    assert unicodedata.is_normalized("NFC", text)


def test_emoji_joined_into_one_picture_stay_joined() -> None:
    assert work(title="👩\u200d👧 か\u200dき").title == "👩\u200d👧 かき"


def test_a_part_whose_end_tag_is_missing_does_not_swallow_the_next() -> None:
    second = part("二").replace('text">', 'text"><h3 class="work_parts_heading">題</h3>', 1)
    parts = part("一").replace("</p></div></div>", "") + second
    assert work(parts=parts).sections == [Section(None, "一"), Section("題", "二")]


def test_scripts_and_templates_in_a_description_are_no_text() -> None:
    parts = part("前<script>x()</script><template>y</template><!-- z --><style>w</style>後")
    assert work(parts=parts).sections == [Section(None, "前後")]


def test_a_huge_page_becomes_an_item_that_fits_a_record() -> None:
    names = "".join(f"<a>{n}{'名' * 300}</a>" for n in range(300))
    labels = ("声優", "作者", "シナリオ", "イラスト", "音楽", "ジャンル", "シリーズ名")
    rows = "".join(outline_row(label, names) for label in labels)
    parts = "".join(part(f"{n}" + "文" * 9_000) for n in range(30)) + "".join(part(str(n)) for n in range(500))
    item = work(rows, parts, title="題" * 1_000)
    assert len(item.title) == 500
    assert all(len(values) <= 100 and max(map(len, values)) <= 200 for values in item.attributes.values())
    assert max(len(section.text) for section in item.sections) == 8_000
    assert sum(len(section.text) for section in item.sections) <= 60_000
    assert len(json.dumps(item.to_json(), ensure_ascii=False).encode()) < 300_000


def test_a_page_of_many_unclosed_tags_is_read() -> None:
    assert work(parts=part("<b>" * 300 + "底")).sections == [Section(None, "底")]


@pytest.mark.parametrize("tag", ["b", "div", "tr", 'div class="work_parts"', 'li class="search_result_img_box_inner"'])
def test_a_page_nested_deeper_than_any_is_refused(tag: str) -> None:
    with pytest.raises(NotAWorkPage, match=r"deep|tags"):
        work(parts=f"<table><tr><td><{tag}>" * 10_000)


def test_spaces_without_end_are_no_burden() -> None:
    spaces = "<b> </b>" * 4_000 + "\u3000" * 200_000
    started = time.monotonic()
    assert work(outline_row("声優", f"{spaces}甲"), part(spaces)).values("voice_actors") == ["甲"]
    assert time.monotonic() - started < 10


def test_a_page_of_more_tags_than_memory_is_refused() -> None:
    with pytest.raises(NotAWorkPage, match="tags"):
        work(parts="<b>" * MAX_TAGS)


def test_what_lies_within_itself_without_end_is_read_once() -> None:
    nested = '<tr><th>声優</th><td><a href="/">甲</a><a href="/"><table>' * 150
    started = time.process_time()
    assert work(rows=nested).values("voice_actors")[0] == "甲"
    assert time.process_time() - started < 2


def test_half_of_a_character_from_outside_utf_16_can_be_stored() -> None:
    work(title="題\ud83d", parts=part("文&#xD83D;\ude00")).title.encode("utf-8")


@pytest.mark.parametrize("charset", ["utf-8", "shift_jis", "euc-jp", "iso-2022-jp"])
def test_a_page_in_another_encoding_reads_the_same(charset: str) -> None:
    outline_table = '<table id="work_outline"><tr><th>声優<td>甲</table>'
    html = '<html><meta charset="{}"><h1 id="work_name">雨の図書館①</h1>' + outline_table + "</html>"
    codec = {"shift_jis": "cp932", "euc-jp": "euc_jis_2004", "iso-2022-jp": "iso2022_jp_2004"}.get(charset, charset)
    title = parse_work_page(decode_markup(html.format(codec if codec != "cp932" else charset).encode(codec)), URL).title
    assert title == "雨の図書館①"


# pages in other languages, and pages of which nothing is understood


def foreign_page(*rows: tuple[str, str], lang: str = "zh-tw", maker: str = "社團名", rest: str = "") -> Item:
    """Return the item of a page with an outline of these rows."""
    table = "".join(outline_row(label, cell) for label, cell in rows)
    return parse_work_page(
        f'<html lang="{lang}"><body><h1 id="work_name">雨</h1><table id="work_maker"><tr><th>{maker}</th><td>'
        '<span class="maker_name"><a href="/home/circle/profile/=/maker_id/RG1.html">紙魚とランプ</a></span></td></tr>'
        f'</table><table id="work_outline">{table}</table>{part("雨の夜。")}{rest}</body></html>',
        URL,
    )


GENRES = '<div class="main_genre"><a href="/home/fsr/=/genre/1">睡眠</a><a href="/home/fsr/=/genre/2">雨</a></div>'
EVERYONE = '<div class="work_genre"><a href="#"><span class="icon_GEN">x</span></a></div>'
SOLD_ON = '<a href="https://www.dlsite.com/girls/new/=/year/2026/mon/07/day/04/cyear/2026/cmon/07">{}</a>'


@pytest.mark.parametrize(
    ("lang", "maker", "labels", "date"),
    [
        ("zh-tw", "社團名", ("販賣日", "年齡指定", "聲優", "劇本", "插畫", "系列名", "分類"), "2026年07月04日"),
        ("zh-cn", "社团名", ("贩卖日", "年龄指定", "声优", "剧情", "插画", "系列名", "分类"), "2026年07月04日"),
        (
            "ko-kr",
            "서클명",
            ("판매일", "연령 지정", "성우", "시나리오", "일러스트", "시리즈명", "장르"),
            "2026년 07월 04일",
        ),
        (
            "en-us",
            "Circle",
            ("Release date", "Age", "Voice Actor", "Scenario", "Illustration", "Series name", "Genre"),
            "Jul/04/2026",
        ),
        (
            "ja-jp",
            "サークル名",
            ("販売日", "年齢指定", "声優", "シナリオ", "イラスト", "シリーズ名", "ジャンル"),
            "2026年07月04日",
        ),
    ],
)
def test_a_page_in_another_language_gives_every_field(
    lang: str, maker: str, labels: tuple[str, ...], date: str
) -> None:
    cells = (date, EVERYONE, "<a>甲</a> / <a>乙</a>", "<a>丙</a>", "<a>丁</a>", "<a>雨宿り</a>", GENRES)
    item = foreign_page(*zip(labels, cells, strict=True), lang=lang, maker=maker)
    assert (item.published_on, item.age_rating) == ("2026-07-04", "all")
    assert item.attributes == {
        "circle": ["紙魚とランプ"],
        "series": ["雨宿り"],
        "voice_actors": ["甲", "乙"],
        "scenario_writers": ["丙"],
        "illustrators": ["丁"],
        "genres": ["睡眠", "雨"],
    }


def test_a_page_in_an_unknown_language_gives_what_is_the_same_in_all() -> None:
    item = foreign_page(
        ("Objavljeno", SOLD_ON.format("4. 7. 2026")), ("Starost", EVERYONE), ("Zvrst", GENRES), maker="Krog", lang="sl"
    )
    assert (item.published_on, item.age_rating) == ("2026-07-04", "all")
    assert item.attributes == {"circle": ["紙魚とランプ"], "genres": ["睡眠", "雨"]}


@pytest.mark.parametrize("rows", [(("何か", "x"),), (("Foo", "x"), ("Bar", "2026年07月04日")), (("", "x"),)])
def test_an_outline_of_which_no_row_is_known_is_not_a_works(rows: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(NotAWorkPage, match="understood"):
        foreign_page(*rows)


@pytest.mark.parametrize("name", ["work_2026", "work_2016", "work_english", "work_announced", "work_music"])
def test_a_page_whose_outline_and_maker_were_renamed_is_not_a_works(name: str) -> None:
    html = fixture(name).replace("work_outline", "product_outline").replace("work_maker", "product_maker")
    with pytest.raises((NotAWorkPage, RegionBlocked)):
        parse_work_page(html, url_of("RJ01500101"))


def test_a_page_with_a_price_and_without_an_outline_has_changed_and_is_not_blocked() -> None:
    html = f'<html><body><h1 id="work_name">雨</h1>{shown("880円")}</body></html>'
    with pytest.raises(NotAWorkPage):
        parse_work_page(html, URL)


@pytest.mark.parametrize(
    ("tag", "before"),
    [
        ('<span class="price">', '<div id="work_price">'),
        ('<div class="title">', '<div class="work_parts"><div class="work_tracklist_item">'),
    ],
)
def test_nested_tags_are_read_once(tag: str, before: str) -> None:
    def seconds(depth: int) -> float:
        began = time.process_time()
        work(parts=before + tag * depth + "雨 " * 100_000)
        return time.process_time() - began

    seconds(10)
    assert seconds(400) < 10 * max(seconds(10), 0.1)


def test_the_genre_row_of_another_form_is_not_the_size_of_the_file() -> None:
    item = foreign_page(("販賣日", "2026年07月04日"), ("檔案容量", '<div class="main_genre">162.18MB</div>'))
    assert item.values("genres") == []


@pytest.mark.parametrize(
    "label",
    [
        *("発売日", "発売予定日", "販売予定日", "配信予定日", "予定販売日", "販売開始日"),
        *("贩卖预定日", "預定販賣日", "판매 예정일", "發售日"),
        *("販売日&nbsp;:&nbsp;", " 販売日 ： ", "\n販売日\n", "Release", "RELEASE DATE:"),
    ],
)
def test_the_day_on_which_a_work_came_out_or_will_is_its_date(label: str) -> None:
    assert outline(label, "2026年09月21日").published_on == "2026-09-21"


@pytest.mark.parametrize("label", ["予告開始日", "更新情報", "最終更新日", "予告日"])
def test_the_day_of_an_announcement_or_update_is_not_a_works_date(label: str) -> None:
    assert outline(label, "2026年09月21日").published_on is None


# whose page it is


def page_that_says(head: str) -> str:
    outline = '<table id="work_outline"><tr><th>声優</th><td>甲</td></tr></table>'
    return f'<html><head>{head}</head><body><h1 id="work_name">題</h1>{outline}</body></html>'


OTHER = "https://www.dlsite.com/girls/work/=/product_id/RJ09999999.html"


@pytest.mark.parametrize(
    ("head", "item_id"),
    [
        (f'<link rel="canonical" href="{OTHER}">', "RJ09999999"),
        (f'<link rel="Canonical alternate" href="{OTHER.lower()}">', "RJ09999999"),
        ('<link rel="canonical" href="/home/announce/=/product_id/RJ09999999.html">', "RJ09999999"),
        (f'<meta property="og:url" content="{OTHER}">', "RJ09999999"),
        (f'<meta property="og:url" content="{URL}"><link rel="canonical" href="{OTHER}">', "RJ09999999"),
        (
            f'<link rel="canonical" href="https://www.dlsite.com/home/"><meta property="og:url" content="{OTHER}">',
            "RJ09999999",
        ),
        ('<link rel="canonical" href="https://example.com/home/work/=/product_id/RJ09999999.html">', "RJ01234567"),
        ('<link rel="canonical" href="http://["><meta property="og:url" content="">', "RJ01234567"),
        ("", "RJ01234567"),
    ],
)
def test_a_page_tells_itself_whose_it_is(head: str, item_id: str) -> None:
    assert parse_work_page(page_that_says(head), URL).item_id == item_id


def test_another_works_page_keeps_its_own_address() -> None:
    item = parse_work_page(page_that_says(f'<link rel="canonical" href="{OTHER}">'), URL)
    assert item.url == OTHER


# sections


def picture_part(heading: str) -> str:
    return (
        f'<div class="work_parts type_image"><h3 class="work_parts_heading">{heading}</h3>'
        '<div class="work_parts_area"><div class="image"><img src="a.jpg"></div></div></div>'
    )


def test_a_section_with_a_heading_and_a_picture_keeps_its_heading_alone_and_among_others() -> None:
    alone = work(parts=picture_part("一") + picture_part("二"))
    assert alone.sections == [Section("一", ""), Section("二", "")]
    among = work(parts=picture_part("一") + part("本文") + picture_part("二"))
    assert among.sections == [Section("一", ""), Section(None, "本文"), Section("二", "")]


# marks


@pytest.mark.parametrize(
    "marks", ["\u0f73", "\u0f71\u0f72", "\u0301", "\u0323\u0301", "\u0316\u0300", "\u3099", "\u05b0\u0591"]
)
def test_a_tower_of_marks_is_cut_and_costs_no_more_than_its_length(marks: str) -> None:
    def seconds(length: int) -> float:
        began = time.process_time()
        title = work(title="a" + marks * length, parts=part("か" + marks * length)).title
        assert len(title) < 100
        return time.process_time() - began

    seconds(1_000)
    assert seconds(400_000) < 100 * max(seconds(20_000), 0.01)


@pytest.mark.parametrize("text", ["が", "ệ", "각", "กำ้", "শ্রী", "ë̀"])
def test_marks_that_languages_use_are_kept(text: str) -> None:
    assert work(title=unicodedata.normalize("NFD", text)).title == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (URL, f"{URL}?locale=ja_JP"),
        (f"{URL}?locale=ja_JP", f"{URL}?locale=ja_JP"),
        (f"{URL}?locale=zh_TW&a=1", f"{URL}?a=1&locale=ja_JP"),
        (f"{URL}?LOCALE=x&b=%FF;c&d", f"{URL}?b=%FF;c&d&locale=ja_JP"),
        (OTHER, f"{OTHER}?locale=ja_JP"),
        (
            "https://www.dlsite.com/home/announce/=/product_id/RJ01234567.html",
            "https://www.dlsite.com/home/announce/=/product_id/RJ01234567.html?locale=ja_JP",
        ),
        ("https://www.dlsite.com/home/works/type/=/page/1", "https://www.dlsite.com/home/works/type/=/page/1"),
        ("https://www.dlsite.com/robots.txt", "https://www.dlsite.com/robots.txt"),
        (f"https://example.com/?{URL}", f"https://example.com/?{URL}"),
    ],
)
def test_the_address_of_a_works_page_asks_for_japanese(url: str, address: str) -> None:
    assert page_address(url) == address
