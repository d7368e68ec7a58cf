"""The protections, how each is turned off, and the tests that must then fail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """One protection turned off: in `path`, `on` stands exactly once and becomes `off`; `tests` then fail."""

    protection: str
    path: str
    on: str
    off: str
    tests: tuple[str, ...]


LEDGER = "layers/common/osusume/ledger.py"
DELIVERY = "functions/notifier/delivery.py"
LABELS = "layers/common/osusume/labels.py"
RULES = "layers/common/osusume/rules.py"
SNAPSHOTS = "layers/common/osusume/snapshots.py"
SLACK_REQUEST = "functions/feedback/slack_request.py"
PRESS = "functions/feedback/press.py"
FETCHER = "functions/crawler/fetcher.py"
ADDRESS = "functions/crawler/sources/dlsite_address.py"
CRAWL = "functions/crawler/crawl.py"
LISTING = "functions/crawler/listing.py"
QUALITY = "functions/crawler/quality.py"
PROGRESS = "functions/crawler/progress.py"
WORK = "functions/crawler/sources/dlsite_work.py"

MUTATIONS = (
    Mutation(
        "the claim: one process alone may post a record",
        LEDGER,
        "#status = :scored OR (#status = :posting AND claim_expires_at < :now)",
        "#status = :scored OR #status = :posting OR claim_expires_at < :now",
        ("test_delivery.py::test_a_message_that_somebody_else_posts_meanwhile_is_left_to_them",),
    ),
    Mutation(
        "the claim's end: a posted record is never claimed again",
        LEDGER,
        "#status = :scored OR (#status = :posting AND claim_expires_at < :now)",
        "#status = :scored OR #status <> :posting OR claim_expires_at < :now",
        ("test_delivery.py::test_messages_delivered_again_are_not_posted_again",),
    ),
    Mutation(
        "the claim's token: who lost a claim changes nothing",
        LEDGER,
        '"claim = :token"',
        '"claim = :token OR attribute_exists(item_id)"',
        ("test_ledger.py::test_a_holder_whose_claim_was_taken_over_changes_nothing",),
    ),
    Mutation(
        "the look into the channel after a claim that ran out",
        DELIVERY,
        "        if not claim.taken_over:\n            return None\n",
        "        if claim:\n            return None\n",
        (
            "test_delivery.py::test_a_message_of_somebody_who_died_after_posting_is_found_not_posted",
            "test_delivery.py::test_a_message_whose_fate_is_unclear_is_posted_once",
        ),
    ),
    Mutation(
        "the first record of an item stands",
        LEDGER,
        'ConditionExpression="attribute_not_exists(item_id)"',
        'ConditionExpression="attribute_not_exists(item_id) OR attribute_exists(item_id)"',
        ("test_ledger.py::test_an_item_with_a_record_is_never_recorded_again",),
    ),
    Mutation(
        "the conditional write of labels: the last press by Slack's clock stands",
        LABELS,
        '"attribute_not_exists(item_id) OR action_ts < :action_ts"',
        '"attribute_not_exists(item_id) OR attribute_exists(item_id) OR action_ts < :action_ts"',
        ("test_labels.py::test_the_latest_press_stands_in_whatever_order_they_arrive",),
    ),
    Mutation(
        "the signature of a press",
        SLACK_REQUEST,
        "    if not signed:\n",
        "    if signed is None:\n",
        ("test_feedback_app.py::test_a_forged_request_is_refused",),
    ),
    Mutation(
        "the five minutes after which a signed press is refused",
        SLACK_REQUEST,
        " or abs(time.time() - int(timestamp)) > SECONDS_A_SIGNATURE_HOLDS",
        "",
        ("test_feedback_app.py::test_a_stale_request_is_refused",),
    ),
    Mutation(
        "the users who may press",
        PRESS,
        "if allowed_users and press.user_id not in allowed_users:",
        "if allowed_users and press.user_id is None:",
        ("test_press.py::test_the_press_of_a_user_who_is_not_allowed_stores_nothing",),
    ),
    Mutation(
        "the host of what is fetched",
        FETCHER,
        "if parts is None or parts.auth is not None or (parts.scheme, host_of(parts), port_of(parts)) not in own:",
        "if parts is None or not own:",
        (
            "test_fetcher.py::test_a_redirect_to_anywhere_else_is_not_followed",
            "test_fetcher.py::test_another_hosts_address_is_never_asked_for",
        ),
    ),
    Mutation(
        "the hosts of images",
        ADDRESS,
        " or not _IMAGE_HOST.fullmatch(parts.netloc.lower())",
        "",
        ("test_dlsite_work.py::test_an_image_is_https_on_the_sites_hosts_or_none",),
    ),
    Mutation(
        "the host of links to works",
        ADDRESS,
        ' and parts.netloc.lower() in {HOST, "dlsite.com"}',
        "",
        ("test_dlsite_listing.py::test_a_link_to_another_host_is_never_followed",),
    ),
    Mutation(
        "robots.txt",
        FETCHER,
        "if self._rules and not self._rules.allow(target):",
        "if not self._rules:",
        ("test_fetcher.py::test_what_robots_txt_disallows_is_not_asked_for",),
    ),
    Mutation(
        "the pause between requests",
        FETCHER,
        "wait = max(wait, last + self.crawl_delay - now)",
        "wait = max(wait, last - now)",
        ("test_fetcher.py::test_the_crawl_delay_lies_between_the_ends_of_requests_and_the_next",),
    ),
    Mutation(
        "the bound on a page's size",
        FETCHER,
        "if len(body) > most_bytes:",
        "if len(body) > 100 * most_bytes:",
        ("test_fetcher.py::test_a_page_that_unpacks_without_end_is_cut_off_at_the_bound",),
    ),
    Mutation(
        "the guard against a listing cut short",
        QUALITY,
        "    if listed < least:\n",
        "    if listed < 0:\n",
        ("test_bad_crawl.py::test_a_listing_cut_short_makes_no_snapshot",),
    ),
    Mutation(
        "the guard against a crawl of which many pages failed",
        QUALITY,
        "if troubles + poor <= allowed and ",
        "if ",
        ("test_bad_crawl.py::test_a_crawl_in_which_half_of_the_pages_cannot_be_read_makes_no_snapshot",),
    ),
    Mutation(
        "the listing that goes on until it reaches what is known",
        LISTING,
        "if is_enough and _is_overlapping(progress.found, known):",
        "if is_enough:",
        ("test_nothing_slips_through.py::test_the_listing_is_read_on_over_its_pages_until_it_reaches_what_is_known",),
    ),
    Mutation(
        "the works that are owed, listed or not",
        LISTING,
        "    progress.listed = [*listed, *owed.values()]\n",
        "    progress.listed = listed\n",
        ("test_nothing_slips_through.py::test_pages_kept_on_a_day_without_a_snapshot_are_in_a_later_one",),
    ),
    Mutation(
        "the page's own id",
        CRAWL,
        "    if item.item_id != listed.item_id:\n",
        "    if not item.item_id:\n",
        ("test_nothing_slips_through.py::test_a_work_whose_address_leads_to_another_works_page_is_a_failure",),
    ),
    Mutation(
        "the page that killed two turns",
        "functions/crawler/session.py",
        "MOST_DEATHS = 2",
        "MOST_DEATHS = 99",
        ("test_nothing_slips_through.py::test_a_page_that_killed_two_turns_is_a_failure_and_the_rest_is_read",),
    ),
    Mutation(
        "the nonce: of two deliveries of one event the second replaces the first",
        PROGRESS,
        '{"IfNoneMatch": "*"} if self._etag is None else {"IfMatch": self._etag}',
        "{}",
        ("test_nothing_slips_through.py::test_a_turn_that_was_replaced_sends_nothing_more",),
    ),
    Mutation(
        "the rows of which none is known",
        WORK,
        "if not any(map(is_known_label, outline)) and not page.select_one(_OUTLINE_EVIDENCE):",
        "if outline is None:",
        ("test_dlsite_work.py::test_an_outline_of_which_no_row_is_known_is_not_a_works",),
    ),
    Mutation(
        "the bound on a wait that the site asks for",
        FETCHER,
        "self._hold(min(asked, MAX_HOLD))",
        "self._hold(asked)",
        ("test_fetcher.py::test_an_absurd_retry_after_holds_for_less_than_a_day",),
    ),
    Mutation(
        "the press that stands against other clocks",
        LABELS,
        'AND (#origin <> :slack OR user_id = :import))"',
        'AND (#origin <> :slack OR user_id = :import) AND action_ts < :action_ts)"',
        ("test_labels.py::test_a_press_stands_against_an_imported_label_from_the_future",),
    ),
    Mutation(
        "the mark of a forgotten label",
        LABELS,
        "attribute_not_exists(forgotten) AND ",
        "",
        ("test_labels.py::test_an_older_press_brings_no_forgotten_label_back_whatever_clock_timed_it",),
    ),
    Mutation(
        "the time of a rule's press",
        RULES,
        " OR by_key.#key.action_ts < :action_ts",
        " OR attribute_exists(item_id)",
        ("test_owners_rules.py::test_an_undone_rule_stays_undone_when_the_press_that_set_it_arrives_again",),
    ),
    Mutation(
        "the snapshot that is there stays",
        SNAPSHOTS,
        '            IfNoneMatch="*",\n',
        "",
        ("test_snapshots.py::test_a_snapshot_under_a_key_that_is_taken_is_not_replaced",),
    ),
    Mutation(
        "a check after a deployment leaves the crawl as it was",
        CRAWL,
        'crawls.begin(last.due_at if last else "", ',
        'crawls.begin("", ',
        ("test_crawl.py::test_a_check_reads_one_page_which_the_crawl_then_has_and_leaves_the_crawl_as_it_was",),
    ),
    Mutation(
        "one invocation at a time works on a crawl",
        PROGRESS,
        'if last.held_until > now and last.holder not in {"", holder}:',
        "if last.held_until > now and last.holder is None:",
        ("test_crawl.py::test_a_second_invocation_meanwhile_leaves_the_crawl_alone",),
    ),
    Mutation(
        "the entity tag: of two that take up a crawl at once one leaves it alone",
        PROGRESS,
        '{"IfNoneMatch": "*"} if self._etag is None else {"IfMatch": self._etag}',
        "{}",
        ("test_progress.py::test_of_two_that_take_up_a_crawl_at_the_same_moment_one_leaves_it_alone",),
    ),
)
