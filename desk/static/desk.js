// The desk's page. A key becomes a request with an id and the id of its work. It is kept in the browser's storage and
// retried until the server has answered, so that neither a closed page nor a dead server loses it.
"use strict";

const RETRY_EVERY = 1000; // milliseconds, like the others
const ASK_EVERY = 3000;
const GIVE_UP_AFTER = 15000;
const ONE_LOOK = 200; // nobody recognises a work faster: a key within this time was meant for the previous work
const ANSWERS = { 1: "興味あり!", 0: "別に…" };

const part = (id) => document.getElementById(id);
const place = document.body.dataset.act;
const stored = `unsent ${place} `;
const drawn = new Map();
// Sends what a closed page left unsent; a request sent twice counts once.
const waiting = Object.keys(localStorage)
  .filter((key) => key.startsWith(stored))
  .map((key) => JSON.parse(localStorage.getItem(key)));
let sending = false;
let readyAt = 0;

const shown = () => document.querySelector("#card article");

function say(id, text) {
  if (part(id).textContent !== text) part(id).textContent = text;
}

function remember(request) {
  localStorage.setItem(stored + request.id, JSON.stringify(request));
  waiting.push(request);
}

function forget(request) {
  localStorage.removeItem(stored + request.id);
  waiting.splice(waiting.indexOf(request), 1);
}

// The next key counts once the owner can have seen the work shown now.
function settle() {
  readyAt = performance.now() + ONE_LOOK;
  setTimeout(() => document.querySelectorAll(".pressed").forEach((key) => key.classList.remove("pressed")), ONE_LOOK);
}

function describe(request) {
  if (request.act === "label") return `「${ANSWERS[request.body.is_interested]}」`;
  return request.act === "skip" ? "「あとで」" : "「戻す」";
}

function show(parts) {
  for (const [id, html] of Object.entries(parts)) {
    if (drawn.get(id) !== html) part(id).innerHTML = html;
    drawn.set(id, html);
  }
  part("undo").disabled = !shown().dataset.last;
  for (const id of ["yes", "no", "skip"]) part(id).disabled = !shown().dataset.item;
}

async function ask(path, options = {}) {
  const answer = await fetch(place + path + location.search, {
    ...options,
    signal: AbortSignal.timeout(GIVE_UP_AFTER),
  });
  const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
  return { ok: answer.ok, status: answer.status, parts: isJson ? await answer.json() : { message: await answer.text() } };
}

async function send() {
  const request = waiting[0];
  if (!request || sending) return;
  sending = true;
  let again = true;
  try {
    const { ok, status, parts } = await ask(request.act, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(request.body),
    });
    if (ok) {
      again = false;
      forget(request);
      show(parts);
      settle();
      say("notice", "");
      say("unsent", "");
      scrollTo(0, 0);
    } else {
      // what the server will never accept is not retried; the rest may still succeed
      again = status !== 404 && status !== 400;
      if (!again) {
        forget(request);
        settle();
      }
      say("notice", parts.message);
      say("unsent", again ? `未送信：${describe(request)}。もう一度送っています。` : "");
    }
  } catch {
    say("notice", "サーバーにつながりません。同じコマンドで起動し直すと、ここから続きます。");
    say("unsent", `未送信：${describe(request)}。つながりしだい送ります。`);
  }
  sending = false;
  if (waiting.length) setTimeout(send, again ? RETRY_EVERY : 0);
}

function act(name) {
  if (waiting.length) return;
  if (performance.now() < readyAt) {
    say("unsent", "続けて押されたキーは、1回と数えました。");
    return;
  }
  const { item, last } = shown().dataset;
  const id = crypto.randomUUID();
  if (name === "undo") {
    if (!last) return;
    remember({ id, act: "undo", body: { undoes: last } });
  } else {
    if (!item) return;
    const body = { action: id, item_id: JSON.parse(item) };
    if (name === "skip") remember({ id, act: "skip", body });
    else remember({ id, act: "label", body: { ...body, is_interested: name === "yes" ? 1 : 0 } });
  }
  say("unsent", "");
  part(name).classList.add("pressed");
  send();
}

// An input method reports some keys as "Process": those are recognised by their position on the keyboard.
const KEYS = { 1: "yes", ArrowRight: "yes", 0: "no", ArrowLeft: "no", s: "skip", u: "undo", "?": "help" };
const PLACES = { Digit1: "yes", Numpad1: "yes", Digit0: "no", Numpad0: "no", KeyS: "skip", KeyU: "undo" };

function help() {
  if (part("keys").open) part("keys").close();
  else part("keys").showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, select, textarea")) return;
  const name = event.key === "Process" ? PLACES[event.code] : KEYS[event.key.normalize("NFKC").toLowerCase()] ?? KEYS[event.key];
  if (!name || (part("keys").open && name !== "help")) return;
  event.preventDefault();
  if (event.repeat) return;
  if (name === "help") help();
  else act(name);
});

for (const name of ["yes", "no", "skip", "undo"]) part(name).addEventListener("click", () => act(name));
part("help").addEventListener("click", help);

// A picture that cannot be loaded is removed. Nothing moves: its place stays, with the text behind it.
const isBroken = (image) => image.complete && image.naturalWidth === 0;
document.addEventListener("error", (event) => event.target.matches?.(".picture img") && event.target.remove(), true);
document.querySelectorAll(".picture img").forEach((image) => isBroken(image) && image.remove());

async function look() {
  if (document.hidden || sending) return;
  try {
    const { ok, parts } = await ask("state");
    if (!waiting.length) say("notice", ok ? "" : parts.message);
    if (ok && !waiting.length) show(parts);
  } catch {
    say("notice", "サーバーにつながりません。同じコマンドで起動し直すと、ここから続きます。");
  }
}

setInterval(look, ASK_EVERY);
show({});
send();
