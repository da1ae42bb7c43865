"use strict";
// What the reader does: step, fold, search, look closer. Data enters the page as text only, never as markup.

const $ = (id) => document.getElementById(id);
const controls = { first: toFirst, back, play, step, last: toLast, fit: showAll, help: toggleKeys };
const view = { x: 0, y: 0, scale: 1 };
const FAR = 0.42; // scale below which letters are not drawn
const READABLE = 0.7; // scale at which a step is shown, if not all is to be seen
const WAIT = 1300; // milliseconds from step to step
const still = matchMedia("(prefers-reduced-motion: reduce)");
let playing = null;
let overview = false; // whether the reader asked to see everything

// --- the picture and the step it shows --------------------------------------------------------------------------------

/** After folding: everything at new places. */
function redraw() {
  const focused = document.activeElement?.dataset?.key;
  state.edges = draw();
  showStep();
  if (focused) itemOf(focused)?.element?.focus({ preventScroll: true });
}

/** After a step: what is known, and the gate that computed it. */
function showStep() {
  const { current } = state;
  for (const edge of state.edges) {
    const status = statusOf(edge);
    if (edge.status && Object.keys(status).every((key) => status[key] === edge.status[key])) continue;
    edge.status = status;
    edge.labels.value?.classList.toggle("unknown", !status.value);
    edge.labels.gradient?.classList.toggle("unknown", !status.gradient);
    edge.line.setAttribute("class", `edge ${status.lit ? `lit ${status.lit}` : ""} ${status.value ? "" : "unknown"}`);
  }
  for (const element of world.querySelectorAll(".current")) element.classList.remove("current", "backward");
  if (current) {
    const { element } = shown(current.node);
    element.classList.add("current");
    element.classList.toggle("backward", current.phase !== "forward");
  }
  $("rule").replaceChildren(spelled());
  $("position").value = state.done;
  $("where").textContent = `${state.done} / ${steps.length}`;
  $("back").disabled = $("first").disabled = state.done === 0;
}

function goTo(done) {
  state.done = done;
  state.current = steps[done - 1] ?? null;
  showStep();
  if (state.current && !overview) bringIntoView(shown(state.current.node), READABLE);
}

function step() {
  goTo(nextStop(1));
}

function back() {
  if (state.done) goTo(nextStop(-1));
}

function toFirst() {
  goTo(0);
}

function toLast() {
  goTo(steps.length);
}

function play() {
  playing = playing ? clearInterval(playing) : setInterval(playOn, WAIT);
  $("play").textContent = playing ? "⏸ Pause" : "▶ Play";
  if (playing) playOn();
}

function playOn() {
  step();
  if (state.done === steps.length) play();
}

// --- pan and zoom -----------------------------------------------------------------------------------------------------

function setView({ x, y, scale }, smooth = false) {
  Object.assign(view, { x, y, scale });
  world.style.transition = smooth && !still.matches ? "transform 0.35s" : "none";
  world.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
  svg.classList.toggle("far", scale < FAR);
  svg.classList.toggle("farther", scale < FAR / 4);
}

function zoom(factor, x = svg.clientWidth / 2, y = svg.clientHeight / 2) {
  const scale = Math.min(4, Math.max(0.02, view.scale * factor));
  overview = false;
  const grown = scale / view.scale;
  setView({ x: x - (x - view.x) * grown, y: y - (y - view.y) * grown, scale });
}

function pan(x, y) {
  setView({ x: view.x + x, y: view.y + y, scale: view.scale });
}

function showAll() {
  overview = true;
  fit();
}

/** The whole graph, as large as possible. */
function fit() {
  const { clientWidth: width, clientHeight: height } = svg;
  const scale = Math.min(1.6, (width - 40) / root.width, (height - 40) / root.height);
  setView({ x: (width - root.width * scale) / 2, y: (height - root.height * scale) / 2, scale });
}

/** Move if the item is not on the screen with the labels of its edges; zoom in if it is smaller than that. */
function bringIntoView(item, smallest = 0) {
  const { clientWidth: width, clientHeight: height } = svg;
  const left = view.x + (item.x - item.room) * view.scale;
  const right = view.x + (item.x + item.width) * view.scale + 140;
  const top = view.y + item.y * view.scale;
  const bottom = top + item.height * view.scale;
  if (view.scale < smallest) center(item, 0.9);
  else if (left < 20 || right > width - 20 || top < 20 || bottom > height - 20) center(item, view.scale);
}

function center(item, scale) {
  const x = svg.clientWidth / 2 - (item.x + item.width / 2) * scale;
  const y = svg.clientHeight / 2 - (item.y + item.height / 2) * scale;
  setView({ x, y, scale }, true);
}

svg.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / 500), event.offsetX, event.offsetY);
}, { passive: false });

svg.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  let moved = 0;
  const drag = ({ movementX, movementY }) => {
    moved += Math.abs(movementX) + Math.abs(movementY);
    if (moved > 4) svg.setPointerCapture(event.pointerId);
    pan(movementX, movementY);
  };
  const drop = () => {
    svg.removeEventListener("pointermove", drag);
    svg.classList.remove("dragged");
    if (moved > 4) svg.addEventListener("click", (click) => click.stopPropagation(), { capture: true, once: true });
  };
  svg.classList.add("dragged");
  svg.addEventListener("pointermove", drag);
  svg.addEventListener("pointerup", drop, { once: true });
});

// --- folding ----------------------------------------------------------------------------------------------------------

function itemOf(key) {
  if (key === undefined) return null;
  return key[0] === "n" ? graph.nodes[Number(key.slice(1))] : graph.boxes[Number(key.slice(1))];
}

/** Fold or unfold a box, which stays where it is on the screen if there is room. */
function toggleFold(box) {
  const before = { x: box.x, y: box.y };
  box.open = !box.open;
  redraw();
  pan((before.x - box.x) * view.scale, (before.y - box.y) * view.scale);
  const room = Math.min((svg.clientWidth - 40) / box.width, (svg.clientHeight - 40) / box.height);
  if (box.open && room < view.scale) center(box, room);
  else bringIntoView(box);
}

function foldEverything(open) {
  if (open) unfoldUpTo(MOST);
  else foldAll();
  redraw();
  fit();
}

/** Click or Enter on an item. */
function choose(item) {
  if (isBox(item)) toggleFold(item);
  else showFacts(item);
}

svg.addEventListener("click", (event) => {
  const item = itemOf(event.target.closest(".item")?.dataset.key);
  if (item && !(isBox(item) && item.open && !event.target.matches(".title"))) choose(item);
});

// --- facts ------------------------------------------------------------------------------------------------------------

function select(item) {
  state.selected?.element?.classList.remove("selected");
  state.selected = item;
  item?.element?.classList.add("selected");
}

function showFacts(node) {
  select(node);
  $("keys").hidden = true;
  $("facts").replaceChildren(...factsOf(node, (other) => visit(other), () => closeFacts()));
  $("facts").hidden = false;
}

function closeFacts() {
  $("facts").hidden = true;
  state.selected?.element?.focus();
  select(null);
}

/** Go to a node wherever it is, and show its facts. */
function visit(node) {
  if (shown(node) !== node) {
    reveal(node);
    redraw();
  }
  showFacts(node);
  bringIntoView(node, READABLE);
}

// --- search -----------------------------------------------------------------------------------------------------------

function find(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const matches = (item) => words.every((word) => item.searched.includes(word));
  return [...graph.nodes, ...graph.boxes.filter((box) => !box.cut)].filter(matches);
}

function showFound() {
  const found = find($("search").value);
  const matching = new Set(found.map((item) => item.key));
  for (const element of world.querySelectorAll(".item")) element.classList.toggle("found", matching.has(element.dataset.key));
  const entries = found.slice(0, 12).map((item) => {
    const button = document.createElement("button");
    button.textContent = isBox(item) ? `layer ${item.label}` : `${item.called} ${item.op} ${item.layers?.at(-1) ?? ""}`;
    button.addEventListener("click", () => take(item));
    const entry = document.createElement("li");
    entry.append(button);
    return entry;
  });
  if (found.length > 12 || !found.length) {
    const entry = document.createElement("li");
    entry.textContent = found.length ? `and ${found.length - 12} more` : "nothing found";
    entries.push(entry);
  }
  $("found").replaceChildren(...entries);
  $("found").hidden = !$("search").value.trim();
}

function take(item) {
  $("found").hidden = true;
  if (!isBox(item)) {
    visit(item);
  } else {
    reveal(item);
    redraw();
    bringIntoView(item, READABLE);
  }
  item.element.focus({ preventScroll: true });
}

// --- keys and buttons -------------------------------------------------------------------------------------------------

function toggleKeys() {
  $("keys").hidden = !$("keys").hidden;
  $("help").setAttribute("aria-expanded", String(!$("keys").hidden));
  if (!$("keys").hidden) $("facts").hidden = true;
}

function close() {
  $("found").hidden = true;
  $("keys").hidden = true;
  if (!$("facts").hidden) closeFacts();
  if (document.activeElement === $("search")) svg.focus();
}

/** F: unfold the focused box, or fold the box around the focused node. */
function foldFocused() {
  const item = itemOf(document.activeElement?.dataset?.key) ?? state.selected ?? (state.current && shown(state.current.node));
  const box = item && (isBox(item) ? item : item.box);
  if (!box || box === root) return;
  toggleFold(box);
  box.element.focus({ preventScroll: true });
}

const keys = {
  ArrowRight: step, n: step, ArrowLeft: back, p: back, " ": play, Home: toFirst, End: toLast,
  "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: showAll, f: foldFocused,
  F: () => foldEverything(false), U: () => foldEverything(true), "/": () => $("search").select(), "?": toggleKeys,
};
const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (key === "Escape") return close();
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  if (target === $("search")) {
    if (key === "Enter" && find(target.value)[0]) take(find(target.value)[0]);
    return undefined;
  }
  if (target.matches("button") && (key === " " || key === "Enter")) return undefined; // presses the button
  const item = itemOf(target.closest?.(".item")?.dataset.key);
  let act = event.shiftKey && moves[key] ? () => pan(...moves[key]) : keys[key];
  if (key === "Enter" && item) act = () => choose(item);
  if (!act) return undefined;
  event.preventDefault();
  return act();
});

for (const [id, act] of Object.entries(controls)) $(id).addEventListener("click", act);
$("fold").addEventListener("click", () => foldEverything(false));
$("unfold").addEventListener("click", () => foldEverything(true));
$("search").addEventListener("input", showFound);
$("position").addEventListener("input", () => goTo(Number($("position").value)));
svg.addEventListener("focusin", ({ target }) => {
  const item = itemOf(target.dataset.key);
  if (item && target.matches(":focus-visible")) bringIntoView(item);
});
addEventListener("resize", fit);

// --- start ------------------------------------------------------------------------------------------------------------

$("title").textContent = `${last.name ?? last.op}: ${plural(forward.length, "gate")}`;
document.title = $("title").textContent;
$("position").max = steps.length;
unfoldUpTo(ENOUGH);
redraw();
fit();
