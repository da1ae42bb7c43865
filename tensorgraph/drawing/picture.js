"use strict";
// The picture: items, edges and their labels as SVG, heat maps on canvas.

const LINE = 15; // height of a line of a label
const MAP = 66; // longer side of a heat map beside an edge
const KINDS = { parameter: "learned", input: "input", constant: "constant" };
const svg = document.getElementById("picture");
const world = document.getElementById("world");
const pen = document.createElement("canvas").getContext("2d");

function create(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children); // a string becomes text, never markup
  return element;
}

const style = getComputedStyle(document.documentElement);
const fonts = Object.fromEntries(["large", "sign", "small", "label"].map((kind) => [kind, style.getPropertyValue(`--font-${kind}`)]));

function textWidth(text, kind) {
  pen.font = fonts[kind];
  return pen.measureText(text).width;
}

const shorten = (text, length = 30) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

// --- heat maps --------------------------------------------------------------------------------------------------------

const INKS = {
  value: { low: [118, 42, 131], high: [0, 104, 55] }, // purple, white, green
  gradient: { low: [5, 66, 130], high: [179, 60, 0] }, // blue, white, orange
};

/** A heat map as an image address; each is drawn once. */
function heatMap(picture, kind) {
  picture.drawn ??= {};
  picture.drawn[kind] ??= drawMap(picture, INKS[kind]);
  return picture.drawn[kind];
}

function drawMap({ width, height, signed, pixels }, { low, high }) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const shades = Uint8Array.from(atob(pixels), (letter) => letter.charCodeAt(0));
  shades.forEach((shade, i) => {
    if (shade === 255) return; // between the maps: transparent
    const share = signed ? (shade / 253) * 2 - 1 : shade / 253;
    const ink = share < 0 ? low : high;
    const strength = Math.abs(share) ** 0.8;
    const color = shade === 254 ? [0, 0, 0] : ink.map((part) => 255 + (part - 255) * strength);
    image.data.set([...color, 255], 4 * i);
  });
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

// --- sizes ------------------------------------------------------------------------------------------------------------

/** What stands beside an edge: lines of text, or a heat map with its shape. */
function labelSize(numbers, withShape) {
  if (!numbers) return { width: 0, height: 0 };
  const { picture } = numbers;
  const lines = picture ? (withShape ? [numbers.shape.join("×")] : []) : numbers.lines;
  const width = Math.max(0, ...lines.map((line) => textWidth(line, "label")));
  if (!picture) return { lines, width, height: lines.length * LINE };
  const scale = MAP / Math.max(picture.width, picture.height);
  const map = { width: picture.width * scale, height: Math.max(8, picture.height * scale) };
  return { lines, map, width: Math.max(width, map.width), height: map.height + lines.length * (LINE + 2) };
}

function measureAll(all) {
  const into = Map.groupBy(all, (edge) => edge.target);
  const visit = (box) => {
    for (const item of box.items) {
      if (isBox(item) && item.open) visit(item);
      else measure(item, into.get(item) ?? []);
    }
  };
  visit(root);
}

/** Size of a node or of a folded box: high enough for the labels of all edges that end there. */
function measure(item, edgesIn) {
  item.title = titleOf(item);
  const { large, font, small } = item.title;
  item.width = Math.max(46, textWidth(large, font) + 26, ...small.map((line) => textWidth(line, "small") + 22));
  if (item === end) item.width = 8;
  item.room = 0;
  let y = 0;
  const heights = new Map();
  for (const edge of edgesIn) {
    edge.value = labelSize(array(edge.from.value), true);
    edge.gradient = labelSize(gradientOf(edge), false);
    y += edge.value.height + 6;
    heights.set(edge, y);
    y += edge.gradient.height + 12;
    item.room = Math.max(item.room, edge.value.width + 16, edge.gradient.width + 16);
  }
  item.height = Math.max(y, 34 + 15 * small.length);
  const spare = (item.height - y) / 2;
  const middle = (edge) => (edge.value.height + 6 - (edge.gradient.height + 12)) / 2;
  item.inY = (edge) =>
    edgesIn.length === 1 && Math.abs(middle(edge)) < item.height / 2 - 12
      ? item.height / 2 + middle(edge)
      : heights.get(edge) + spare;
  const computed = edgesIn.filter((edge) => isBox(edge.source) || edge.source.gate);
  item.outY = () => (computed.length === 1 ? item.inY(computed[0]) : item.height / 2); // the main way is straight
}

/** What stands in an item. */
function titleOf(item) {
  if (item === end) return { large: "", font: "large", small: [] };
  if (isBox(item)) {
    const nodes = nodesIn(item);
    const gates = nodes.filter((node) => node.gate).length;
    const learned = nodes.filter((node) => node.op === "parameter").length;
    const contents = `${plural(gates, "gate")}${learned ? `, ${plural(learned, "parameter")}` : ""}`;
    return { large: shorten(item.label), font: "large", small: [contents] };
  }
  if (!item.gate) {
    const [name, kind] = [inLayer(item) ?? item.op, KINDS[item.op]];
    return { large: shorten(name), font: "large", small: name === kind ? [] : [kind] };
  }
  const name = item.name ? [shorten(item.name)] : [];
  const font = [...item.symbol].length < 3 ? "sign" : "large";
  return { large: shorten(item.symbol), font, small: [...name, shorten(item.word, 36)] };
}

/** A parameter's name without the layer in whose box it stands: "weight" of "features.0.weight". */
function inLayer({ name, box }) {
  const prefix = `${box.label.split(" (")[0]}.`;
  return name?.startsWith(prefix) && name.length > prefix.length ? name.slice(prefix.length) : name;
}

const plural = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;

// --- SVG --------------------------------------------------------------------------------------------------------------

const WIDTHS = [Infinity, 7000, 5000, 3600, 2900, 2400, 2000, 1700, 1400, 1150, 950]; // of a line, to choose from
const MANY = 250; // items: with more there is one choice

/** Lay out so that everything is as large as possible on the screen; shorter lines must be worth it. */
function arrange(all) {
  measureAll(all);
  const size = (widest) => {
    layout(all, widest);
    return Math.min(svg.clientWidth / root.width, svg.clientHeight / root.height) * (widest === Infinity ? 1.2 : 1);
  };
  const widths = count() > MANY ? [2400] : WIDTHS;
  const sizes = widths.map(size);
  layout(all, widths[sizes.indexOf(Math.max(...sizes))]);
}

/** Draw everything anew, at new places. Returns the edges with their elements. */
function draw() {
  const all = edges();
  arrange(all);
  const layers = { boxes: create("g"), edges: create("g"), items: create("g"), labels: create("g", { class: "labels" }) };
  const visit = (box) => {
    for (const item of box.items) {
      if (item === end) continue;
      (isBox(item) && item.open ? layers.boxes : layers.items).append(drawItem(item));
      if (isBox(item) && item.open) visit(item);
    }
  };
  visit(root);
  for (const edge of all) {
    layers.edges.append((edge.line = create("path", { class: "edge", d: curve(edge.runs) })));
    layers.labels.append(...drawLabels(edge));
  }
  world.replaceChildren(...Object.values(layers));
  return all;
}

function drawItem(item) {
  const { x, y, width, height } = item;
  const kind = isBox(item) ? (item.open ? "box open" : "box folded") : `node ${item.error ? "failed" : item.gate ?? item.op}`;
  const group = create("g", { class: `item ${kind}`, transform: `translate(${x} ${y})`, tabindex: 0, role: "button" });
  group.setAttribute("data-key", item.key);
  group.setAttribute("aria-label", spoken(item));
  const radius = isBox(item) ? 12 : item.gate ? Math.min(18, height / 2) : 4;
  if (isBox(item) && !item.open) group.append(create("rect", { x: 5, y: 5, width, height, rx: radius, class: "behind" }));
  group.append(create("rect", { width, height, rx: radius }));
  if (isBox(item) && item.open) {
    const title = create("text", { x: 14, y: 20, class: "title" }, `▾ ${shorten(item.label, Math.max(8, width / 8.5))}`);
    group.append(title);
  } else {
    const { large, font, small } = item.title;
    const top = height / 2 - 7.5 * small.length;
    group.append(create("text", { x: width / 2, y: top + (font === "sign" ? 8 : 6), class: font }, large));
    if (item.gate && !item.name) group.append(create("text", { x: 2, y: -5, class: "number" }, item.called));
    small.forEach((line, i) => group.append(create("text", { x: width / 2, y: top + 22 + 15 * i, class: "small" }, line)));
  }
  item.element = group;
  return group;
}

/** What a screen reader says. */
function spoken(item) {
  if (isBox(item)) return `layer ${item.label}, ${item.open ? "unfolded" : "folded"}`;
  return `${item.op} ${item.name ?? ""} ${array(item.value)?.lines.join(" ") ?? item.error}`;
}

/** Horizontal runs, and a curve from each to the next: an S onwards, a U where the direction changes. */
function curve([first, ...rest]) {
  let [start, x, y] = first;
  let path = `M${start} ${y}H${x}`;
  let ahead = true;
  for (const [from, to, level] of rest) {
    const bend = to >= from === ahead ? (x + from) / 2 : (ahead ? Math.max(x, from) + GAP.turn : Math.min(x, from) - GAP.turn);
    if (from !== x || level !== y) path += `C${bend} ${y} ${bend} ${level} ${from} ${level}`;
    path += `H${to}`;
    ahead = to >= from;
    [x, y] = [to, level];
  }
  return path;
}

/** The value above the end of an edge, the gradient below. */
function drawLabels(edge) {
  const [, right, y] = edge.runs.at(-1);
  const middle = right - edge.target.room / 2;
  edge.labels = {
    value: drawLabel(edge.value, array(edge.from.value), "value", middle, y - 4 - edge.value.height),
    gradient: drawLabel(edge.gradient, gradientOf(edge), "gradient", middle, y + 5),
  };
  const labels = Object.values(edge.labels).filter(Boolean);
  for (const label of labels) label.dataset.edge = `${edge.from.key} ${edge.target.key}`;
  return labels;
}

function drawLabel({ lines, map, width }, numbers, kind, middle, top) {
  if (!lines) return null;
  const group = create("g", { class: `label ${kind}` });
  let y = top;
  if (map) {
    const { width, height } = map;
    const image = { href: heatMap(numbers.picture, kind), x: middle - width / 2, y, width, height };
    group.append(create("image", { ...image, preserveAspectRatio: "none" }));
    group.append(create("rect", { x: image.x, y, width, height }));
    y += height + 1;
  }
  const left = middle - width / 2;
  lines.forEach((line, i) => {
    const place = lines.length > 1 ? { x: left, "text-anchor": "start" } : { x: middle, "text-anchor": "middle" };
    group.append(create("text", { ...place, y: y + LINE * (i + 1) - 4 }, line));
  });
  group.append(create("title", {}, `${kind}, shape (${numbers.shape.join(", ")})\n${numbers.lines.join("\n")}`));
  return group;
}
