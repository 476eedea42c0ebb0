// The history of the archive: a bar for each timeline over the LSN, with gaps, bases
// and points. A moment is chosen with the pointer or the keyboard.

const NS = "http://www.w3.org/2000/svg";
const ROW = 54, BAR = 18, TOP = 30;

export function svg(name, attrs, ...children) {
  const e = document.createElementNS(NS, name);
  for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

const list = (x) => x || [];
const title = (text) => svg("title", {}, text);
const number = (n) => n.toLocaleString("en");

function bounds(timelines) {
  let from = Infinity, to = 1;
  for (const t of timelines) {
    from = Math.min(from, Math.max(t.first_lsn, 1));
    to = Math.max(to, t.last_lsn, t.first_lsn, ...list(t.gaps).map((g) => g.to));
  }
  return { from, to };
}

// timeAt is about when an LSN was written: between the ends of its window the records
// are taken to be even.
export function timeAt(t, lsn) {
  for (const w of list(t.windows)) {
    if (lsn < w.from || lsn > w.to || !w.from_time || !w.to_time) continue;
    const a = Date.parse(w.from_time), b = Date.parse(w.to_time);
    return new Date(w.to === w.from ? a : a + ((b - a) * (lsn - w.from)) / (w.to - w.from));
  }
  return null;
}

export function stateAt(t, lsn) {
  const within = (ranges) => list(ranges).some((r) => r.from <= lsn && lsn <= r.to);
  if (within(t.windows)) return "kept";
  if (within(t.gaps)) return "lost";
  if (within(t.missing)) return "missing";
  if (within(t.pruned)) return "pruned";
  return "stale";
}

export const WORDS = {
  kept: "can be restored", stale: "archived, but nothing leads to it", pruned: "pruned",
  lost: "declared lost", missing: "missing, and nothing says why", base: "base backup", point: "restore point",
};

// draw fills box; choose(timeline, lsn) is called for a moment.
export function draw(box, doc, choose) {
  const timelines = list(doc.timelines);
  const used = new Set();
  box.replaceChildren();
  if (!timelines.some((t) => t.last_lsn >= t.first_lsn)) {
    box.append("Nothing is archived yet.");
    return used;
  }
  const { from, to } = bounds(timelines);
  const width = Math.max(box.clientWidth, 280), left = 34, right = 10, span = width - left - right;
  const x = (lsn) => left + (to > from ? ((Math.min(Math.max(lsn, from), to) - from) / (to - from)) * span : span / 2);
  const at = (px) => Math.round(from + (Math.min(Math.max(px - left, 0), span) / span) * (to - from));
  const root = svg("svg", { height: TOP + timelines.length * ROW, role: "group", "aria-label": "Timelines of the archive" });
  axis(root, from, to, x, width - right);
  timelines.forEach((t, i) => row({ root, t, y: TOP + 10 + i * ROW, x, at, from, to, used, points: list(doc.points), choose, parent: timelines.findIndex((p) => p.timeline === t.parent), i }));
  box.append(root);
  return used;
}

function axis(root, from, to, x, end) {
  const first = svg("text", { x: x(from), y: 12 }, "LSN " + number(from));
  const last = svg("text", { x: end, y: 12, "text-anchor": "end" }, number(to));
  root.append(first);
  if (to > from) root.append(last);
}

function row(r) {
  const { root, t, y, x, used } = r;
  if (r.parent >= 0) {
    root.append(svg("line", { class: "fork", x1: x(t.fork_lsn), x2: x(t.fork_lsn), y1: y - (r.i - r.parent) * ROW + BAR, y2: y }));
  }
  root.append(svg("text", { class: "name", x: 0, y: y + BAR - 4 }, "t" + t.timeline));
  const bar = (kind, a, b) => {
    used.add(kind);
    const wide = Math.max(x(b) - x(a), 3);
    root.append(svg("rect", { class: kind, x: x(a), y, width: wide, height: BAR, rx: 2 }, title(`LSN ${number(a)} to ${number(b)}: ${WORDS[kind]}`)));
  };
  if (t.last_lsn >= t.first_lsn) bar("stale", Math.max(t.first_lsn, 1), t.last_lsn);
  for (const w of list(t.windows)) bar("kept", w.from, w.to);
  for (const [kind, ranges] of [["pruned", t.pruned], ["missing", t.missing], ["lost", t.gaps]]) for (const g of list(ranges)) bar(kind, g.from, g.to);
  if (list(t.windows).some((w) => w.from <= t.first_lsn && t.last_lsn <= w.to)) used.delete("stale");
  pick(r);
  for (const b of list(t.bases)) mark(r, "base", b.lsn, `base backup at LSN ${number(b.lsn)}`);
  for (const p of r.points) if (p.timeline === t.timeline) mark(r, "point", p.lsn, `restore point ${p.name}, LSN ${number(p.lsn)}`);
}

// mark is a button: a base below the bar, a point above it.
function mark({ root, t, y, x, used, choose, cursor }, kind, lsn, text) {
  used.add(kind);
  const cx = x(lsn), top = y + BAR + 2;
  const shape = kind === "base"
    ? svg("rect", { class: kind, x: cx - 4, y: top, width: 8, height: 8 }, title(text))
    : svg("path", { class: kind, d: `M${cx} ${y - 2} l5 -9 h-10 z` }, title(text));
  for (const [k, v] of Object.entries({ tabindex: 0, role: "button", "aria-label": text + ", show the restore command" })) shape.setAttribute(k, v);
  shape.classList.add("track");
  const go = () => choose(t, lsn);
  shape.addEventListener("click", go);
  shape.addEventListener("keydown", (e) => {
    if (e.key === "Enter" || e.key === " ") { e.preventDefault(); go(); }
  });
  root.append(shape);
}

// pick is the slider over a bar.
function pick({ root, t, y, x, at, from, to, choose }) {
  let lsn = Math.max(t.last_lsn, t.first_lsn);
  const low = Math.max(t.first_lsn, from), high = Math.max(t.last_lsn, low);
  const line = svg("line", { class: "cursor", y1: y - 4, y2: y + BAR + 4, visibility: "hidden" });
  const track = svg("rect", {
    class: "track", x: x(low) - 2, y: y - 6, width: Math.max(x(high) - x(low), 3) + 4, height: BAR + 8, fill: "transparent",
    tabindex: 0, role: "slider", "aria-label": `Moment on timeline ${t.timeline}`, "aria-valuemin": low, "aria-valuemax": high,
  });
  const show = (to) => {
    lsn = Math.min(Math.max(to, low), high);
    const time = timeAt(t, lsn);
    track.setAttribute("aria-valuenow", lsn);
    track.setAttribute("aria-valuetext", `LSN ${number(lsn)}${time ? ", about " + time.toISOString() : ""}, ${WORDS[stateAt(t, lsn)]}`);
    line.setAttribute("x1", x(lsn));
    line.setAttribute("x2", x(lsn));
  };
  show(lsn);
  const reveal = () => line.setAttribute("visibility", "visible");
  track.addEventListener("focus", reveal);
  track.addEventListener("click", (e) => {
    reveal();
    show(at(e.clientX - root.getBoundingClientRect().left));
    choose(t, lsn);
  });
  const page = Math.max(1, Math.round((high - low) / 20));
  const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -page, PageUp: page, Home: -Infinity, End: Infinity };
  track.addEventListener("keydown", (e) => {
    if (e.key in steps) show(lsn + steps[e.key] * (e.shiftKey && Math.abs(steps[e.key]) === 1 ? page : 1));
    else if (e.key === "Enter" || e.key === " ") choose(t, lsn);
    else return;
    e.preventDefault();
  });
  root.append(track, line);
}
