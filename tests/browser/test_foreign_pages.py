"""Another page in the owner's browser attacks every port of a running machine, and reads and changes nothing."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from faults.wire import Wire
from playwright.sync_api import Browser, Page
from werkzeug import Request, Response
from werkzeug.serving import make_server

from local.machine import Machine, one_machine

# a page that the browser closes breaks off what it was loading: the server's file is then closed by the collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

MORNING = datetime(2026, 4, 1, 22, 0, tzinfo=UTC)

# Requests that did or would do harm; a page tries each in every way it can.
PATHS = [
    "/",
    "/moto-api/",
    "/moto-api/data.json",
    "/moto-api/reset",
    "/moto-api/reset-auth",
    "/moto-api/seed?a=1",
    "/latest/meta-data/iam/security-credentials/",
    "/2018-06-01/runtime/invocation/next",
    "/2015-03-31/functions/osusume-crawler/invocations",
    "/osusume-123456789012",
    "/slack/interactions",
    "/predict",
    "/api/chat.postMessage?channel=C0LOCAL0001&text=x",
    "/press",
    "/label",
    "/home/works/type/=/work_type_category/audio/order/release_d/per_page/100/page/1/show_type/3",
    "/robots.txt",
]
BODIES = [
    ["text/plain", '{"Name": "/osusume/slack-signing-secret", "WithDecryption": true}'],
    ["application/x-www-form-urlencoded", "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=x"],
]
ATTACK = """
async ({ ports, paths, bodies }) => {
  const got = [];
  const patience = () => AbortSignal.timeout(8000);
  const note = (how, url) => got.push(`${how} ${url}`);
  const read = async (how, url, options) => {
    try {
      const answer = await fetch(url, { signal: patience(), ...options });
      if (answer.type !== "opaque") note(`${how}, ${answer.status}, read ${(await answer.text()).length}`, url);
    } catch {}
  };
  const element = (name, url) => new Promise((done) => {
    const made = document.createElement(name);
    made.onload = () => { note(name, url); done(); };
    made.onerror = done;
    made[name === "link" ? "href" : "src"] = url;
    if (name === "link") made.rel = "stylesheet";
    document.body.append(made);
    setTimeout(done, 8000);
  });
  const frame = (name) => {
    const made = document.createElement("iframe");
    made.name = name;
    document.body.append(made);
  };
  const form = (url, [kind, text], name) => {
    const made = document.createElement("form");
    Object.assign(made, { method: "post", action: url, target: name, enctype: kind });
    for (const [key, value] of kind === "text/plain" ? [[text, ""]] : new URLSearchParams(text)) {
      const field = document.createElement("input");
      Object.assign(field, { name: key, value, type: "hidden" });
      made.append(field);
    }
    document.body.append(made);
    made.submit();
  };
  const socket = (url) => new Promise((done) => {
    const made = new WebSocket(url.replace("http:", "ws:"));
    made.onopen = () => { note("WebSocket", url); done(); };
    made.onerror = made.onclose = done;
    setTimeout(done, 8000);
  });
  for (const port of ports) {
    frame(`frame-${port}`);
    const root = `http://127.0.0.1:${port}/`;
    const tries = [socket(root)];
    for (const path of paths) {
      const url = `http://127.0.0.1:${port}${path}`;
      tries.push(read("GET", url, {}), read("GET", url, { mode: "no-cors", credentials: "include" }));
      tries.push(element("img", url), element("script", url), element("link", url));
      tries.push(read("PUT", url, { method: "PUT", body: "x" }), read("DELETE", url, { method: "DELETE" }));
      tries.push(read("signed", url, { headers: { Authorization: "AWS4-HMAC-SHA256 Credential=a/b/c/s3/d" } }));
      for (const [kind, text] of bodies) {
        const sent = { method: "POST", headers: { "Content-Type": kind }, body: text };
        tries.push(read("POST", url, sent), read("POST", url, { mode: "no-cors", ...sent }));
        navigator.sendBeacon(url, new Blob([text], { type: kind }));
      }
    }
    const headers = { "X-Amz-Target": "AmazonSSM.GetParameter" };
    tries.push(read("target", root, { method: "POST", headers, body: bodies[0][1] }));
    await Promise.all(tries);
    for (const path of paths) for (const body of bodies) form(`http://127.0.0.1:${port}${path}`, body, `frame-${port}`);
  }
  return got;
}
"""


@dataclass(frozen=True)
class Victim:
    machine: Machine
    ports: list[int]

    def state(self) -> dict[str, Any]:
        """Everything that a page may not change."""
        cloud = self.machine.cloud
        bucket = cloud.resources["Bucket"]
        ssm = cloud.client("ssm").get_parameters_by_path(Path="/osusume", WithDecryption=True)["Parameters"]
        objects = cloud.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
        tables = [cloud.resources[name] for name in ("ItemsTable", "LabelsTable")]
        return {
            "records": [cloud.client("dynamodb").scan(TableName=table)["Items"] for table in tables],
            "objects": {each["Key"]: each["ETag"] for each in objects},
            "buckets": [each["Name"] for each in cloud.client("s3").list_buckets()["Buckets"]],
            "secrets": {each["Name"]: each["Value"] for each in ssm},
            "messages": [message.to_json() for message in self.machine.slack.messages],
            "invocations": len(cloud.invocations),
            "is IAM enforced": requests.get(f"{cloud.endpoint}/{bucket}?list-type=2", timeout=5).status_code,
        }


def listening_ports() -> list[int]:
    """Return the ports of 127.0.0.1 that this process listens on."""
    names = (os.readlink(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd") if _is_there(each))  # noqa: PTH115, PTH208
    inodes = {found[1] for name in names if (found := re.fullmatch(r"socket:\[(\d+)\]", name))}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and row[9] in inodes]


def _is_there(descriptor: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{descriptor}")  # noqa: PTH114


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    if not Path("/proc/net/tcp").exists():
        pytest.skip("the ports of a process can only be looked up on Linux")
    before = set(listening_ports())
    with (
        one_machine(crawl_delay=0.0, parameters={"ItemLimit": "5"}) as machine,
        Wire(["CrawlerFunction"]) as wire,
    ):
        wire.targets = {
            "aws": machine.cloud.endpoint,
            "slack": machine.slack.address,
            "classifier": machine.cloud.api_url,
            "site": machine.site.address,
        }
        machine.begin_day(1, MORNING)
        machine.cloud.wait_until_idle(60)
        machine.slack.press(next(m.ts for m in machine.slack.messages if m.item_id), "interested")
        machine.cloud.wait_until_idle(60)
        ports = sorted(set(listening_ports()) - before)
        own = {urlsplit(each).port for each in (*wire.targets.values(), machine.slack.address)}
        runtime_apis = [port for port in ports if port not in own | wire.ports]
        assert runtime_apis
        yield Victim(machine, [port for port in ports if port not in runtime_apis[1:]])  # they are alike


@pytest.fixture(scope="module")
def foreign_port() -> Iterator[int]:
    """A server of another page, which answers under any host name."""
    page = Response("<!doctype html><title>another page</title><body></body>", mimetype="text/html")
    server = make_server("127.0.0.1", 0, Request.application(lambda _request: page), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()


@pytest.fixture
def foreign_page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", ["attacker.localhost", "127.0.0.1"])
def test_another_page_reads_and_changes_nothing(
    victim: Victim, foreign_port: int, foreign_page: Page, name: str
) -> None:
    before = victim.state()
    foreign_page.goto(f"http://{name}:{foreign_port}/")

    got = foreign_page.evaluate(ATTACK, {"ports": victim.ports, "paths": PATHS, "bodies": BODIES})

    assert got == []
    assert victim.state() == before


def test_a_page_without_an_origin_reads_and_changes_nothing(
    victim: Victim, foreign_port: int, foreign_page: Page
) -> None:
    before = victim.state()
    foreign_page.goto(f"http://attacker.localhost:{foreign_port}/")
    given = json.dumps({"ports": victim.ports, "paths": PATHS, "bodies": BODIES})
    script = f"({ATTACK})({given}).then((got) => parent.postMessage(got, '*'))"

    got = foreign_page.evaluate(
        """(script) => new Promise((done) => {
          addEventListener("message", (event) => done([event.origin, event.data]));
          const frame = document.createElement("iframe");
          frame.sandbox = "allow-scripts allow-forms";
          frame.srcdoc = `<body><script>${script}</` + "script>";
          document.body.append(frame);
        })""",
        script,
    )

    assert got == ["null", []]
    assert victim.state() == before


def test_a_foreign_name_that_resolves_to_this_machine_is_refused(victim: Victim, foreign_page: Page) -> None:
    before = victim.state()
    for port in victim.ports:
        answer = foreign_page.goto(f"http://attacker.localhost:{port}/robots.txt")
        assert answer is not None
        assert answer.status == 403
        # the page now has the server's own origin, as after DNS rebinding
        statuses = foreign_page.evaluate(
            """async ({ paths, bodies }) => {
              const sent = bodies.map(([kind, body]) => ({ method: "POST", headers: { "Content-Type": kind }, body }));
              const asked = paths.flatMap((path) => [{}, { method: "PUT" }, ...sent].map((how) => fetch(path, how)));
              return [...new Set((await Promise.all(asked)).map((answer) => answer.status))];
            }""",
            {"paths": PATHS, "bodies": BODIES},
        )
        assert statuses == [403]
    assert victim.state() == before


def test_the_owners_page_still_works(victim: Victim, page: Page) -> None:
    page.goto(victim.machine.slack.page_address)

    picture = page.locator("img").first
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
