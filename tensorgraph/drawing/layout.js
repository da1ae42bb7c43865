"use strict";
// Where things stand: columns from left to right, each box laid out by itself and then placed in the one around it.
// An edge that crosses the side of a box does so at a port, so no edge runs below anything but an edge.

const GAP = { column: 40, row: 26, edge: 14, side: 22, title: 30, line: 34, turn: 18 };
const SWEEPS = 12;

/**
 * Give every item in the picture x and y, open boxes their width and height, and every edge the horizontal runs through
 * which it is drawn. Nodes and folded boxes have `width`, `height`, `room` (what the labels of their edges take to the
 * left) and `inY`, `outY`: at which height an edge meets them. A box wider than `widest` continues in a new line.
 */
function layout(edges, widest) {
  for (const box of [root, ...graph.boxes]) box.segments = [];
  edges.forEach(cutAtBoxes);
  layOutBox(root, widest);
  placeInside(root, 0, 0);
  for (const edge of edges) edge.runs = edge.path.flatMap((segment) => moved(segment));
}

/** The part of an edge in each box that it runs through; null stands for the box's side. */
function cutAtBoxes(edge) {
  const outer = around(edge.source);
  const inner = around(edge.target);
  const shared = outer.find((box) => inner.includes(box));
  const path = [];
  let from = edge.source;
  for (const box of outer.slice(0, outer.indexOf(shared))) {
    path.push({ edge, box, from, to: null });
    from = box;
  }
  const entered = inner.slice(0, inner.indexOf(shared)).reverse();
  path.push({ edge, box: shared, from, to: entered[0] ?? edge.target });
  entered.forEach((box, i) => path.push({ edge, box, from: null, to: entered[i + 1] ?? edge.target }));
  for (const segment of path) segment.box.segments.push(segment);
  edge.path = path;
}

function layOutBox(box, widest) {
  const vertices = new Map(); // item -> vertex
  for (const item of box.items) {
    if (isBox(item) && item.open) layOutBox(item, widest);
    vertices.set(item, vertex({ item, width: item.width, height: item.height }));
  }
  const ports = [];
  for (const segment of box.segments) {
    const { edge, from, to } = segment;
    const port = from && to ? null : vertex({ port: segment });
    if (port) ports.push(port);
    const link = { from: from ? vertices.get(from) : port, to: to ? vertices.get(to) : port };
    link.outY = from ? from.outY(edge) : 0;
    link.inY = to ? to.inY(edge) : 0;
    segment.links = [link];
    connect(link);
  }
  rank([...vertices.values()], ports);
  const columns = inColumns([...vertices.values(), ...ports], box.segments);
  order(columns);
  setHeights(columns);
  const lines = broken(columns, widest);
  lines.forEach(setColumns);
  stack(lines);
  finish(box, columns, lines.length > 1);
}

function vertex(fields) {
  return { width: 0, height: 0, before: [], after: [], rank: 0, y: 0, ...fields };
}

function connect(link) {
  link.from.after.push(link);
  link.to.before.push(link);
}

/** Columns by the longest way from the left; what has nothing before it moves right, next to what uses it. */
function rank(vertices, ports) {
  const entering = ports.filter((port) => !port.before.length);
  const waiting = new Map(vertices.map((v) => [v, v.before.length]));
  const ready = [...vertices.filter((v) => !v.before.length), ...entering];
  for (const v of ready) {
    for (const { to } of v.after) {
      to.rank = Math.max(to.rank, v.rank + 1);
      if (waiting.has(to)) waiting.set(to, waiting.get(to) - 1);
      if (waiting.get(to) === 0) ready.push(to);
    }
  }
  for (const v of vertices) {
    if (!v.before.length && v.after.length) v.rank = Math.min(...v.after.map(({ to }) => to.rank)) - 1;
  }
  const lowest = Math.min(...vertices.map((v) => v.rank)) - (entering.length ? 1 : 0);
  const highest = Math.max(...vertices.map((v) => v.rank)) + 1;
  for (const port of ports) port.rank = port.before.length ? highest : lowest;
}

/** The columns, with a bend in every column that an edge passes; edges from the same place bend together. */
function inColumns(vertices, segments) {
  const ranks = vertices.map((v) => v.rank);
  const lowest = Math.min(...ranks);
  const columns = Array.from({ length: Math.max(...ranks) - lowest + 1 }, () => []);
  for (const v of vertices) columns[v.rank - lowest].push(v);
  for (const segment of segments) {
    const [whole] = segment.links;
    if (whole.to.rank - whole.from.rank < 2) continue;
    whole.from.after.splice(whole.from.after.indexOf(whole), 1);
    whole.to.before.splice(whole.to.before.indexOf(whole), 1);
    segment.links = [];
    let { from, outY } = whole;
    const bends = ((whole.from.bends ??= {})[outY] ??= []); // the links to them
    for (let rank = from.rank + 1; rank < whole.to.rank; rank++) {
      if (!bends[rank]) {
        bends[rank] = { from, to: vertex({ bend: true, rank }), outY, inY: 0 };
        columns[rank - lowest].push(bends[rank].to);
        connect(bends[rank]);
      }
      segment.links.push(bends[rank]);
      from = bends[rank].to;
      outY = 0;
    }
    const arriving = { ...whole, from, outY };
    segment.links.push(arriving);
    connect(arriving);
  }
  return columns;
}

/** Barycentres, there and back: things stand at the height of what they are connected with. */
function order(columns) {
  columns.forEach((column) => column.forEach((v, i) => (v.place = i)));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forward = sweep % 2 === 0;
    for (const column of forward ? columns : columns.toReversed()) {
      for (const v of column) {
        const links = forward ? v.before : v.after;
        const places = links.map((link) => (forward ? seen(link.from, link.outY) : seen(link.to, link.inY)));
        v.wish = places.length ? places.reduce((a, b) => a + b) / places.length : v.place;
      }
      column.sort((a, b) => a.wish - b.wish || a.place - b.place);
      column.forEach((v, i) => (v.place = i));
    }
  }
}

/** The place of a vertex in its column, and how far down an edge meets it. */
function seen(v, y) {
  return v.place + (v.height ? y / v.height - 0.5 : 0);
}

/** Heights that make edges straight, without overlaps; bends pull hardest, for long edges should be straightest. */
function setHeights(columns) {
  for (const column of columns) {
    let y = 0;
    for (const v of column) {
      v.y = y;
      y += v.height + GAP.row;
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forward = sweep % 2 === 0;
    for (const column of forward ? columns : columns.toReversed()) {
      for (const v of column) {
        const links = sweep < SWEEPS - 2 ? (forward ? v.before : v.after) : [...v.before, ...v.after];
        const wishes = links.map(({ from, to, outY, inY }) => (to === v ? from.y + outY - inY : to.y + inY - outY));
        v.wish = wishes.length ? wishes.reduce((a, b) => a + b) / wishes.length : v.y;
        v.weight = v.bend || v.port ? 4 : 1;
      }
      pool(column);
    }
  }
}

/** As near to the wishes as the order and the gaps allow: those that would overlap move as one (least squares). */
function pool(column) {
  const blocks = [];
  let offset = 0;
  column.forEach((v, i) => {
    const above = column[i - 1];
    if (above) offset += above.height + (above.bend || above.port || v.bend || v.port ? GAP.edge : GAP.row);
    v.offset = offset;
    let block = { first: i, sum: (v.wish - offset) * v.weight, weight: v.weight };
    while (blocks.length && blocks.at(-1).sum / blocks.at(-1).weight > block.sum / block.weight) {
      const { first, sum, weight } = blocks.pop();
      block = { first, sum: sum + block.sum, weight: weight + block.weight };
    }
    blocks.push(block);
  });
  blocks.forEach(({ first, sum, weight }, i) => {
    for (const v of column.slice(first, blocks[i + 1]?.first)) v.y = sum / weight + v.offset;
  });
}

/** Columns in lines, as words in a text; a line ends where few edges cross, and not after what goes in. */
function broken(columns, widest) {
  const widths = columns.map((column) => GAP.column + roomOf(column) + widthOf(column));
  const total = widths.reduce((a, b) => a + b, 0);
  const goal = total / Math.ceil(total / widest);
  const lines = [[]];
  let width = 0;
  columns.forEach((column, i) => {
    const before = columns[i - 1] ?? [];
    const crossing = before.reduce((sum, v) => sum + v.after.length, 0);
    const splits = before.some((v) => v.item && !v.before.length) || column.some((v) => v.item === end);
    if (i && crossing <= 2 && !splits && width + widths[i] / 2 > goal) {
      lines.push([]);
      width = 0;
    }
    lines.at(-1).push(column);
    width += widths[i];
  });
  return lines;
}

const roomOf = (column) => Math.max(0, ...column.map((v) => v.item?.room ?? 0));
const widthOf = (column) => Math.max(0, ...column.map((v) => v.width));

/** From left to right; between two columns is room for curves and for the labels of the edges that end there. */
function setColumns(columns, line) {
  let x = line ? GAP.turn + roomOf(columns[0]) : 0;
  columns.forEach((column, i) => {
    const width = widthOf(column);
    if (i) x += GAP.column + roomOf(column);
    for (const v of column) {
      v.line = line;
      v.x = v.item && !v.before.length ? x + width - v.width : x; // what goes in stands next to what uses it
      v.column = { left: x, right: x + width };
    }
    x += width;
  });
}

/** The lines below each other; an edge from one to the next goes back between them, in a lane of its own. */
function stack(lines) {
  let bottom = 0;
  for (const columns of lines) {
    const all = columns.flat();
    const top = Math.min(...all.map((v) => v.y));
    if (all[0].line) {
      for (const { before } of columns[0]) for (const link of before) link.lane = bottom += GAP.edge;
      bottom += GAP.line;
    }
    for (const v of all) v.y += bottom - top;
    bottom = Math.max(...all.map((v) => v.y + v.height)) + GAP.line / 2;
  }
}

/** The box's size, the places in it, and where edges meet its sides. */
function finish(box, columns, isBroken) {
  const all = columns.flat();
  const top = Math.min(...all.map((v) => v.y)) - (box === root ? 0 : GAP.title);
  const right = Math.max(...all.map((v) => v.column.right));
  const ports = all.filter((v) => v.port);
  const entry = ports.some((v) => !v.before.length) && !isBroken ? 0 : GAP.side;
  const exit = ports.some((v) => v.before.length) && !isBroken ? 0 : GAP.side;
  box.width = entry + right + exit;
  box.shift = [entry, -top];
  for (const v of all) {
    v.y -= top;
    v.x += entry;
    v.column = { left: v.column.left + entry, right: v.column.right + entry };
    if (v.port) v.x = v.column.left = v.column.right = v.before.length ? box.width : 0;
    if (v.item) Object.assign(v.item, { x: v.x, y: v.y });
  }
  box.height = Math.max(...all.map((v) => v.y + v.height)) + GAP.side;
  const places = new Map(ports.map((v) => [v.port.edge, v.y]));
  box.inY = box.outY = (edge) => places.get(edge);
  box.room = 0;
}

/** From places in the box to places in the picture. */
function placeInside(box, x, y) {
  box.left = x;
  box.top = y;
  for (const item of box.items) {
    item.x += x;
    item.y += y;
    if (isBox(item) && item.open) placeInside(item, item.x, item.y);
  }
}

/** A segment as horizontal runs [x1, x2, y]; curves connect one with the next. A run back to the left has x1 > x2. */
function moved({ box, links }) {
  const runs = [];
  const add = (x1, x2, y) => runs.push([box.left + x1, box.left + x2, box.top + y]);
  links.forEach(({ from, to, outY, inY, lane }, i) => {
    const left = (to.bend ? to.column.left : to.x) - (to.item?.room ?? 0);
    if (i === 0) add(from.x + from.width, from.column.right, from.y + outY);
    if (lane !== undefined) add(from.column.right, left, lane + box.shift[1]);
    add(left, to.bend ? to.column.right : to.x, to.y + inY);
  });
  return runs;
}
