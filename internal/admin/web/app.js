import { draw, stateAt, timeAt, svg, WORDS } from "/timeline.js";

const $ = (id) => document.getElementById(id);
let token = sessionStorage.getItem("nodedb-token") || "";
let history = null, chosen = null, drawn = "";

class Refused extends Error {}

async function get(path, options = {}) {
  const headers = token ? { Authorization: "Bearer " + token } : {};
  const r = await fetch(path, { ...options, headers });
  if (r.status === 401) throw new Refused();
  return r;
}

// Numbers for people.
const count = (n) => (n >= 1e6 ? (n / 1e6).toFixed(1) + "M" : n >= 1e4 ? (n / 1e3).toFixed(1) + "k" : Math.round(n).toLocaleString("en"));
const lsn = (n) => (n || 0).toLocaleString("en");
function size(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return (i ? n.toFixed(1) : n) + " " + units[i];
}
function span(s) {
  if (s < 1) return s > 0 ? Math.max(1, Math.round(s * 1000)) + " ms" : "0 s";
  if (s < 90) return Math.round(s) + " s";
  if (s < 5400) return Math.round(s / 60) + " min";
  return (s / 3600).toFixed(1) + " h";
}
const ago = (t) => (t ? span(Math.max(0, (Date.now() - Date.parse(t)) / 1000)) + " ago" : "never");

function tiles(id, rows) {
  $(id).replaceChildren(...rows.filter(Boolean).map(([name, value, kind]) => {
    const d = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    if (kind) dd.className = kind;
    d.append(dt, dd);
    return d;
  }));
}
function rows(id, all) {
  $(id).replaceChildren(...all.map((cells) => {
    const tr = document.createElement("tr");
    for (const c of cells) {
      const td = document.createElement("td");
      if (c instanceof Node) td.append(c);
      else if (Array.isArray(c)) [td.textContent, td.className] = c;
      else td.textContent = c;
      tr.append(td);
    }
    return tr;
  }));
}

function health(h) {
  $("health").className = h.ok ? "good" : "bad";
  $("health").textContent = h.ok ? "✓ ready" : "✗ " + (h.reasons || []).map((r) => r.text).join("; ");
}

const last = {};
function load(core) {
  const m = core.metrics, before = last[core.id] || { busy_ns: 0, idle_ns: 0 };
  const busy = m.busy_ns - before.busy_ns, idle = m.idle_ns - before.idle_ns;
  last[core.id] = m;
  const share = busy + idle > 0 ? busy / (busy + idle) : 0;
  const p = document.createElement("progress");
  p.max = 1;
  p.value = share;
  p.setAttribute("aria-label", `load of core ${core.id}`);
  const cell = document.createElement("span");
  cell.append(p, " " + Math.round(share * 100) + "%");
  return cell;
}

function status(s) {
  $("node").textContent = s.node_id;
  document.title = s.node_id + " · nodedb";
  health(s.health);
  $("foot").textContent = `nodedb ${s.version} · ${s.dir} · timeline ${s.timeline} · ${s.vshards} vshards`;
  rows("cores", s.cores.map((c) => [c.id, c.degraded ? ["✗ degraded", "bad"] : ["✓ serving", "good"], load(c), c.metrics.depth, count(c.metrics.tasks), c.metrics.panics ? [c.metrics.panics, "warn"] : 0, (c.vshards || []).length]));
  const w = s.watermarks;
  tiles("log", [["durable LSN", lsn(w.durable_lsn)], ["applied LSN", lsn(w.applied_lsn)], ["checkpointed LSN", lsn(w.checkpointed_lsn)], ["truncated LSN", lsn(w.truncated_lsn)],
    s.archive && ["archived LSN", lsn(w.archived_lsn)], ["segments", s.log.segments], ["size", size(s.log.bytes)], ["checkpoints", s.checkpoints.taken + (s.checkpoints.failed ? `, ${s.checkpoints.failed} failed` : "")],
    ["last checkpoint", ago(s.checkpoints.last_time)]]);
  stores(s);
}

function stores(s) {
  const a = s.archive;
  if (!a) {
    tiles("archive", [["archive", "none: this directory is the only copy", "warn"]]);
    rows("stores", []);
    return;
  }
  const used = a.budget_bytes ? a.waiting_bytes / a.budget_bytes : 0;
  tiles("archive", [["behind", span(s.archive_lag_seconds)], ["not archived", size(s.archive_lag.bytes)], ["budget used", Math.round(used * 100) + "%", used > 0.75 ? "bad" : used > 0.5 ? "warn" : ""],
    s.bases && ["last base", ago(s.bases.last_time)], a.stalled && ["stalled", a.stalled, "bad"], a.fenced && ["fenced", a.fenced, "bad"]]);
  rows("stores", a.stores.map((x) => [[x.url + (x.optional ? " (optional)" : ""), "text"], x.circuit === "closed" ? ["✓ works", "good"] : ["✗ " + x.circuit, "bad"], lsn(x.archived),
    x.queued ? `${x.queued}, ${size(x.queued_bytes)}` : "nothing", ago(x.last_success), [x.last_error || "", "text"]]));
}

// quote makes one word for a shell.
const quote = (s) => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(s) ? s : "'" + s.replaceAll("'", "'\\''") + "'");

function choose(t, at) {
  chosen = { timeline: t.timeline, at };
  const time = timeAt(t, at), state = stateAt(t, at);
  $("moment").textContent = `Timeline ${t.timeline}, LSN ${lsn(at)}${time ? ", about " + time.toISOString().replace("T", " ").slice(0, 19) + " UTC" : ""}: ${WORDS[state]}.`;
  $("moment").className = state === "kept" ? "" : "warn";
  const stores = (history.stores || []).map((u) => "--archive " + quote(u)).join(" ");
  $("text").textContent = `pitr-restore restore ${stores} --node-id ${quote(history.node_id)} --timeline ${t.timeline} --to-lsn ${at} --target-dir ./restored-${at}`;
  $("copied").textContent = "";
  $("command").hidden = false;
}

async function copy() {
  const text = $("text").textContent;
  try {
    await navigator.clipboard.writeText(text);
    $("copied").textContent = "copied";
  } catch { // not allowed without TLS: select it
    const r = document.createRange();
    r.selectNodeContents($("text"));
    getSelection().removeAllRanges();
    getSelection().addRange(r);
    $("copied").textContent = "selected: press Ctrl+C";
  }
}

// paint draws again only what changed: a focused moment keeps its focus.
function paint(force) {
  if (!history) return;
  const now = JSON.stringify([history.timelines, history.points]);
  if (!force && now === drawn) return;
  if (!force && $("timeline").contains(document.activeElement)) return;
  drawn = now;
  const used = draw($("timeline"), history, choose);
  $("legend").replaceChildren(...Object.keys(WORDS).filter((k) => used.has(k)).map((k) => {
    const li = document.createElement("li");
    const d = { base: "M2 2h8v8h-8z", point: "M6 11l5 -10h-10z" }[k] || "M0 1h12v10h-12z";
    li.append(svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("path", { class: k, d })), WORDS[k]);
    return li;
  }));
}

async function readHistory() {
  const r = await get("/api/history");
  if (r.ok) {
    history = await r.json();
    $("window-hint").hidden = false;
    paint(false);
  } else {
    $("window-hint").hidden = true;
    $("timeline").textContent = (await r.json()).error;
  }
}

const beats = [];
function chart(id, values) {
  const top = Math.max(...values, 1e-9) * 1.1;
  const d = values.map((v, i) => `${i ? "L" : "M"}${(300 - (values.length - 1 - i) * 2.5).toFixed(1)} ${(68 - (v / top) * 64).toFixed(1)}`).join("");
  $(id).replaceChildren(svg("path", { d }));
}
function beat(b) {
  beats.push(b);
  if (beats.length > 120) beats.shift();
  tiles("live", [["writes a second", count(b.writes)], ["commands a second", count(b.commands)], ["update p50", b.update_p50_ms.toFixed(2) + " ms"], ["update p99", b.update_p99_ms.toFixed(2) + " ms"],
    ["its disk p99", b.commit_p99_ms.toFixed(2) + " ms"],
    ["log a second", size(Math.round(b.bytes))], ["syncs a second", count(b.syncs)], ["queued", b.queued], ["Redis clients", b.clients]]);
  chart("chart-writes", beats.map((x) => x.writes));
  chart("chart-p99", beats.map((x) => x.update_p99_ms));
}

// EventSource cannot send a token, so the stream is read by hand.
async function stream() {
  const r = await get("/api/live");
  if (!r.ok) throw new Error("no stream");
  const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const p of parts) if (p.startsWith("data: ")) beat(JSON.parse(p.slice(6)));
  }
}

const wait = (ms) => new Promise((go) => setTimeout(go, ms));

// again runs f for as long as the page is open. A refusal asks for the token.
async function again(f, pause) {
  for (;;) {
    try {
      if (!document.hidden) await f();
    } catch (e) {
      if (e instanceof Refused) {
        $("login").hidden = false;
        $("main").hidden = true;
        $("health").textContent = "the token is missing or wrong";
        $("health").className = "warn";
        return;
      }
      $("health").textContent = "✗ no answer";
      $("health").className = "bad";
    }
    await wait(pause);
  }
}

function start() {
  again(async () => status(await (await get("/api/status")).json()), 2000);
  again(readHistory, 10000);
  again(stream, 1000);
}

$("login").addEventListener("submit", (e) => {
  e.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem("nodedb-token", token);
  $("login").hidden = true;
  $("main").hidden = false;
  start();
});
$("copy").addEventListener("click", copy);
addEventListener("resize", () => paint(true));
start();
