// Keeps the channel up to date and presses its buttons without leaving the page.
"use strict";

const EVERY = 1000; // milliseconds between two looks
const messages = document.getElementById("messages");
const records = document.getElementById("records"); // missing where nobody gives a panel
const connection = document.getElementById("connection");
const announcement = document.getElementById("announcement");
const newer = document.getElementById("newer");
const calm = connection.textContent;
const known = new Map(); // by the name of a part, the entity tag of what is shown
const drawn = new Map(); // by the id of an element, the HTML that it was drawn from

function remember(element) {
  drawn.set(element.id, element.outerHTML);
  if ("parts" in element.dataset) for (const part of element.children) remember(part);
}

// Makes the children of `shown` those of `fresh`, touching only what differs: all of them carry ids. Returns the new ones.
function renew(shown, fresh) {
  const added = [];
  const ids = new Set(Array.from(fresh.children, (child) => child.id));
  for (const child of [...shown.children]) if (!ids.has(child.id)) child.remove();
  [...fresh.children].forEach((child, index) => {
    const html = child.outerHTML;
    const old = document.getElementById(child.id);
    if (!old) {
      shown.insertBefore(child, shown.children[index] ?? null);
      remember(child);
      added.push(child);
    } else if (drawn.get(child.id) !== html) {
      if ("parts" in child.dataset) renew(old, child);
      else old.replaceWith(child);
      drawn.set(child.id, html);
    }
  });
  return added;
}

// Returns the part of the page anew, or null where nothing changed.
async function ask(name) {
  const tag = known.get(name);
  const answer = await fetch(name, { headers: tag ? { "If-None-Match": tag } : {} });
  if (answer.status === 304) return null;
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  known.set(name, answer.headers.get("ETag"));
  return new DOMParser().parseFromString(await answer.text(), "text/html").body;
}

function isAtEnd() {
  return innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
}

function toEnd() {
  scrollTo(0, document.documentElement.scrollHeight);
  newer.hidden = true;
}

async function lookAtMessages() {
  const fresh = await ask("messages");
  if (!fresh) return;
  const wasAtEnd = isAtEnd();
  const focused = document.activeElement?.id;
  const added = renew(messages, fresh).filter((child) => child.matches("article"));
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
  showFailures();
  if (!added.length) return;
  announcement.textContent = `新しい投稿 ${added.length}件: ${added.at(-1).getAttribute("aria-label")}`;
  if (wasAtEnd) toEnd();
  else {
    newer.textContent = "↓ 新しい投稿があります";
    newer.hidden = false;
  }
}

async function lookAtPanel() {
  const fresh = records && (await ask("panel"));
  if (fresh) renew(records, fresh);
}

// A screen reader reads the line whenever it is written, so it is written only when it differs.
function say(text, isBad) {
  if (connection.textContent !== text) connection.textContent = text;
  connection.classList.toggle("bad", isBad);
}

let trouble = ""; // what kept the last press from being sent
let looking = Promise.resolve();

// One look after the other, so that an older answer never replaces a newer one.
function look() {
  looking = looking.then(async () => {
    try {
      await lookAtMessages();
      await lookAtPanel();
      say(trouble || calm, trouble !== "");
    } catch {
      say("接続が切れました。もう一度起動すると、新しいアドレスが表示されます。", true);
    }
  });
  return looking;
}

async function watch() {
  for (;;) {
    await new Promise((resume) => setTimeout(resume, EVERY));
    if (!document.hidden) await look();
  }
}

async function press(form, button) {
  if (button.getAttribute("aria-busy")) return;
  button.setAttribute("aria-busy", "true");
  const id = button.id;
  const title = form.closest("article").getAttribute("aria-label");
  const body = new URLSearchParams(new FormData(form, button));
  trouble = "";
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { "X-Requested-With": "fetch" } });
    if (!answer.ok) trouble = await answer.text();
  } catch {
    trouble = "接続が切れているため、押せませんでした。";
  }
  await look();
  document.getElementById(id)?.removeAttribute("aria-busy");
  form.closest("details")?.removeAttribute("open");
  announcement.textContent = trouble || `投稿が更新されました: ${title}`;
}

// A picture that does not load leaves its box to the drawing behind it.
function showFailures() {
  for (const image of messages.querySelectorAll(".picture img"))
    if (image.complete && !image.naturalWidth) image.parentElement.classList.add("failed");
}

document.addEventListener("error", (event) => event.target.closest?.(".picture")?.classList.add("failed"), true);
document.addEventListener("load", (event) => event.target.closest?.(".picture")?.classList.remove("failed"), true);
document.addEventListener("submit", (event) => {
  if (!event.target.closest("#messages")) return;
  event.preventDefault();
  press(event.target, event.submitter);
});
// As in Slack, a menu closes when the reader turns to something else.
function closeMenus(event) {
  for (const menu of messages.querySelectorAll("details[open]"))
    if (event.key === "Escape" || !menu.contains(event.target)) menu.removeAttribute("open");
}
document.addEventListener("click", closeMenus);
document.addEventListener("keydown", (event) => event.key === "Escape" && closeMenus(event));
document.addEventListener("scroll", () => isAtEnd() && (newer.hidden = true), { passive: true });
document.addEventListener("visibilitychange", () => document.hidden || look());
newer.addEventListener("click", toEnd);

for (const element of [...messages.children, ...(records?.children ?? [])]) remember(element);
showFailures();
if (!location.hash && scrollY === 0) toEnd(); // a reader who scrolled before this script came is left where they are
watch();
