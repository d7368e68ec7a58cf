"""The simulations of `local.scale` against what queueing theory gives, or a calculation by hand."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
import simpy

from local.cost.prices import YEN_A_DOLLAR, Price
from local.scale.aws_model import Message, Quotas, deliver, morning, press, with_large_owner
from local.scale.bottlenecks import STATIONS, busy_seconds, first_bottleneck
from local.scale.cost import PRICES_OF_MANY, yen_an_owner
from local.scale.fair_queue import NOISY_IN_FLIGHT, Queue
from local.scale.machine_model import Demand, Machine
from local.scale.prediction import beside_a_large_owner, predict
from local.scale.service import Service
from local.scale.validation import Comparison, quantile

SERVICE = Service(
    items=20,
    posts=10,
    record_seconds=2.0,
    post_seconds=0.2,
    record_writes=60.0,
    post_writes=8.0,
    press_seconds=0.05,
    tell_seconds=0.2,
    press_start_seconds=0.5,
    refit_seconds=4.0,
    record_bytes=2000.0,
    log_bytes={"notifier": 1000.0, "press": 100.0, "tell": 100.0},
)
UNLIMITED = Quotas(1e9, 1e9, 1000, 1000, math.inf, math.inf, 1e9)
NO_POSTS = replace(SERVICE, posts=0)


def erlang_c(load: float, servers: int) -> float:
    """Return the probability that a job waits in an M/M/c queue."""
    full = load**servers / math.factorial(servers) * servers / (servers - load)
    return full / (sum(load**n / math.factorial(n) for n in range(servers)) + full)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.7), (2, 1.4), (5, 4.0)])
def test_a_fair_queue_of_strangers_waits_as_erlang_says(servers: int, load: float) -> None:
    env, rng, waits = simpy.Environment(), random.Random(1), []  # noqa: S311  # a simulation
    queue: Queue[int] = Queue(env)

    def arrive() -> simpy.events.ProcessGenerator:
        for number in range(60_000):
            yield env.timeout(rng.expovariate(load))
            queue.put(number, env.now)

    def serve() -> simpy.events.ProcessGenerator:
        while True:
            owner, arrived = yield queue.get()
            waits.append(env.now - arrived)
            seconds = rng.expovariate(1)
            yield env.timeout(seconds)
            queue.done(owner, seconds)

    env.process(arrive())
    for _ in range(servers):
        env.process(serve())
    env.run(until=60_000 / load)

    assert sum(waits) / len(waits) == pytest.approx(erlang_c(load, servers) / (servers - load), rel=0.1)


def test_an_idle_machine_takes_the_sum_of_what_a_job_needs() -> None:
    demand = Demand(calls=10, function=0.2, classifier=0.1, main=0.3, pause=0.4)

    alone = Machine(seed=1, cores=2).run(demand, jobs=400, at_once=1)

    assert sum(alone.durations) / 400 == pytest.approx(1.0, rel=0.05)
    assert alone.wall == pytest.approx(sum(alone.durations))


def test_a_busy_machine_is_as_fast_as_its_slowest_part() -> None:
    one_thing_at_a_time = Demand(calls=10, function=0.1, classifier=0.0, main=0.5, pause=0.0)
    processors = Demand(calls=10, function=0.9, classifier=0.0, main=0.1, pause=0.0)

    assert Machine(seed=1, cores=8).run(one_thing_at_a_time, 200, 8).wall == pytest.approx(200 * 0.5, rel=0.05)
    assert Machine(seed=1, cores=2).run(processors, 200, 8).wall == pytest.approx(200 * 1.0 / 2, rel=0.05)


def test_other_programs_take_their_part_of_the_processors() -> None:
    demand = Demand(calls=10, function=1.0, classifier=0.0, main=0.0, pause=0.0)

    assert Machine(seed=1, others=1.0, cores=2).run(demand, 100, 8).wall == pytest.approx(100.0, rel=0.1)


def test_what_comes_behind_an_answer_delays_the_next_jobs_and_not_this_one() -> None:
    demand = Demand(calls=2, function=0.0, classifier=0.0, main=0.0, pause=1.0, behind=0.5)

    answered = Machine(seed=1, cores=2).run(demand, jobs=400, at_once=1)

    assert sum(answered.durations) / 400 == pytest.approx(0.5, rel=0.1)


def test_a_delivery_records_and_then_posts_a_message_a_second() -> None:
    ends = deliver(morning(200, SERVICE), SERVICE, replace(UNLIMITED, posts_a_second=1.0)).ends

    assert sum(ends.values()) / 200 == pytest.approx(2.0 + 9 * 1.0 + 0.2, rel=0.1)


def test_deliveries_take_turns_where_lambda_runs_few_at_once() -> None:
    ends = deliver(morning(200, NO_POSTS), NO_POSTS, replace(UNLIMITED, deliveries_at_once=4)).ends

    assert max(ends.values()) == pytest.approx(200 * 2.0 / 4, rel=0.15)


def test_the_pollers_grow_as_aws_says() -> None:
    quotas = replace(UNLIMITED, pollers=5.0, pollers_a_second=5.0)

    last = max(deliver(morning(900, NO_POSTS), NO_POSTS, quotas).ends.values())

    # 5 t + 5 t² / 2 seconds of work are done by t: 1,800 at 25.9 s
    assert last == pytest.approx(25.9 + 1.0, rel=0.1)


def test_secrets_are_read_at_the_rate_that_is_allowed_and_refusals_are_counted() -> None:
    quotas = replace(UNLIMITED, secret_reads_a_second=10.0)

    delivered = deliver(morning(300, NO_POSTS), NO_POSTS, quotas)

    assert len(delivered.ends) == 300
    assert max(delivered.ends.values()) > 300 / 10.0 - 1
    assert delivered.throttled > 0
    assert deliver(morning(300, NO_POSTS), NO_POSTS, UNLIMITED).throttled == 0


def test_writes_wait_for_the_tables_allowance() -> None:
    quotas = replace(UNLIMITED, writes_a_second=600.0)

    delivered = deliver(morning(300, NO_POSTS), NO_POSTS, quotas)

    assert max(delivered.ends.values()) == pytest.approx(300 * 60.0 / 600.0 + 1.0, rel=0.15)
    assert delivered.throttled > 200


def test_every_owner_is_served_once_the_large_one_too() -> None:
    messages = with_large_owner(morning(50, SERVICE), 1000, SERVICE)

    ends = deliver(messages, SERVICE, Quotas(deliveries_at_once=10)).ends

    assert set(ends) == {-1, *range(50)}
    assert sum(message.owner == -1 for message in messages) == 50


def next_owner(queue: Queue[str]) -> str:
    owner, _ = queue.get().value or ("", None)
    return str(owner)


def test_a_fair_queue_serves_the_quiet_before_the_noisy_and_a_plain_one_in_turn() -> None:
    def order(*, is_fair: bool) -> list[str]:
        env = simpy.Environment()
        queue: Queue[str] = Queue(env, is_fair=is_fair)
        for _ in range(NOISY_IN_FLIGHT + 2):
            queue.put("noisy", None)
        queue.put("quiet", None)
        taken = [next_owner(queue) for _ in range(NOISY_IN_FLIGHT + 3)]
        return [taken[0], *taken[NOISY_IN_FLIGHT:]]

    assert order(is_fair=True) == ["noisy", "quiet", "noisy", "noisy"]
    assert order(is_fair=False) == ["noisy", "noisy", "noisy", "quiet"]


def test_an_owner_with_few_messages_in_flight_who_takes_much_time_is_noisy_too() -> None:
    env = simpy.Environment()
    queue: Queue[str] = Queue(env)
    queue.put("slow", None)
    assert next_owner(queue) == "slow"
    queue.done("slow", seconds=7.0)
    queue.put("slow", None)
    queue.put("quiet", None)

    assert next_owner(queue) == "quiet"


def test_a_waiting_consumer_gets_a_message_as_it_comes() -> None:
    env = simpy.Environment()
    queue: Queue[str] = Queue(env)
    waiting = queue.get()
    assert not waiting.triggered
    queue.put("owner", "message")

    assert waiting.value == ("owner", "message")


def test_one_owner_with_thousands_of_items_slows_no_other_beyond_twice_in_a_fair_queue_alone() -> None:
    neighbours = beside_a_large_owner(SERVICE)

    assert neighbours.worst_fair <= 2.0 < neighbours.worst_unfair


def test_presses_of_a_lone_owner_start_the_function_and_those_of_many_find_it_warm() -> None:
    lone, many = press(1, SERVICE, Quotas()), press(10_000, SERVICE, Quotas())

    assert quantile(lone.seconds, 0.9) > 0.5 > quantile(many.seconds, 0.9)
    assert many.a_second == pytest.approx(10_000 * 5 / 3600)


def test_presses_that_find_no_room_are_counted() -> None:
    pressed = press(10_000, SERVICE, Quotas(presses_at_once=1))

    assert pressed.throttled > 0
    assert press(10_000, SERVICE, Quotas()).throttled == 0


def test_each_remedy_relieves_its_station() -> None:
    for station in STATIONS:
        relieved = station.relieve(SERVICE, Quotas())

        assert station.seconds(10_000, *relieved) < station.seconds(10_000, SERVICE, Quotas())


def test_the_first_bottleneck_of_few_is_slacks_pace_and_of_many_what_aws_allows() -> None:
    assert "Slack" in first_bottleneck(1, SERVICE, Quotas()).name
    assert "Parameter Store" in first_bottleneck(100_000, SERVICE, Quotas()).name


def test_a_row_goes_on_to_the_next_remedy_until_posts_are_within_ten_minutes() -> None:
    row = predict(10_000, replace(SERVICE, record_seconds=300.0))

    assert len(row.remedies) > 1
    assert row.remedies[-1][1] < row.delivery_p99


def test_yen_are_what_is_used_times_its_price() -> None:
    assert yen_an_owner(1, SERVICE, Quotas(), only("Lambda, x86_64"))["deliveries"] == pytest.approx(
        YEN_A_DOLLAR * 30 * busy_seconds(SERVICE, Quotas()) / 2
    )
    ledger = yen_an_owner(1, SERVICE, Quotas(), only("DynamoDB writes"))["ledger"]
    assert ledger == pytest.approx(YEN_A_DOLLAR * 30 * (60 + 10 * 8))


def only(name: str) -> dict[str, Price]:
    """Return prices at which one of these costs a dollar and everything else nothing."""
    return {each: replace(price, dollars=float(each == name)) for each, price in PRICES_OF_MANY.items()}


def test_the_shared_part_falls_with_the_owners_and_the_rest_stays() -> None:
    one, many = yen_an_owner(1, SERVICE, Quotas()), yen_an_owner(1000, SERVICE, Quotas())

    assert many.pop("shared") == pytest.approx(one.pop("shared") / 1000)
    assert one == many


@pytest.mark.parametrize(("predicted", "is_close"), [(80.0, True), (120.0, True), (79.0, False), (121.0, False)])
def test_a_prediction_is_close_within_a_fifth_of_what_was_measured(predicted: float, is_close: bool) -> None:
    assert Comparison(100, "deliveries, all", predicted, 100.0).is_close is is_close


def test_a_message_without_posts_takes_as_long_as_its_recording() -> None:
    ends = deliver([Message(0, 1.0, 0, 1.0)] * 1, SERVICE, UNLIMITED, seed=3).ends

    assert 0.1 < ends[0] < 4.0
