"use strict";
// What the page knows: nodes, boxes around them, and which boxes are folded. An item is a node or a box.

const ENOUGH = 45; // items: a graph with more starts folded
const MOST = 2500; // items that are drawn at once

const graph = JSON.parse(document.getElementById("graph").textContent);
const root = { key: "root", label: "", items: [], box: null, open: true, depth: 0 };

graph.boxes.forEach((box, i) => {
  box.key = `b${i}`;
  box.items = [];
  box.open = true;
  box.box = box.parent === null ? root : graph.boxes[box.parent];
  box.depth = box.box.depth + 1;
  box.box.items.push(box);
});
graph.nodes.forEach((node, id) => {
  node.id = id;
  node.key = `n${id}`;
  node.inputs ??= [];
  node.box = node.box === null ? root : graph.boxes[node.box];
  node.box.items.push(node);
});
const last = graph.nodes.at(-1);
const end = { key: "end", box: root, isEnd: true }; // where the output goes
root.items.push(end);

for (const item of [...graph.nodes, ...graph.boxes]) {
  item.searched = [item.called, item.op, item.name, item.label, item.key, ...(item.layers ?? [])].join(" ").toLowerCase();
}

const isBox = (item) => item.items !== undefined;
const array = (number) => (number === null || number === undefined ? null : graph.arrays[number]);
const labelOf = (item) => (isBox(item) ? item.label : item.name ?? item.op);

/** The boxes around an item, the innermost first, the root last. */
function around(item) {
  const boxes = [];
  for (let box = item.box; box; box = box.box) boxes.push(box);
  return boxes;
}

/** What stands for a node in the picture: the outermost folded box around it, or the node itself. */
function shown(item) {
  let found = item;
  for (const box of around(item)) if (!box.open) found = box;
  return found;
}

/** All nodes in a box, in the boxes in it too. */
function nodesIn(box) {
  return box.items.flatMap((item) => (isBox(item) ? nodesIn(item) : [item]));
}

/** How many items the picture has. */
function count(box = root) {
  return box.items.reduce((sum, item) => sum + (isBox(item) && item.open ? count(item) : 1), 0);
}

function foldAll() {
  for (const box of graph.boxes) box.open = false;
}

/** Unfold from the outside in, level by level, as long as there are no more items than that. */
function unfoldUpTo(limit) {
  foldAll();
  const deepest = Math.max(0, ...graph.boxes.map((box) => box.depth));
  for (let depth = 1; depth <= deepest; depth++) {
    const level = graph.boxes.filter((box) => box.depth === depth);
    for (const box of level) box.open = true;
    if (count() > limit) {
      for (const box of level) box.open = false;
      return;
    }
  }
}

/** Unfold all boxes around an item. */
function reveal(item) {
  for (const box of around(item)) box.open = true;
}

/**
 * The edges of the picture. Each goes from an item to an item, carries the value of one node, and stands for uses of it:
 * as the index-th input of a node. Edges into a folded box are one for each value.
 */
function edges() {
  const found = [];
  const merged = new Map();
  for (const node of graph.nodes) {
    node.inputs.forEach((given, index) => {
      const from = graph.nodes[given];
      const source = shown(from);
      const target = shown(node);
      if (source === target) return;
      const key = isBox(target) ? `${given} ${target.key}` : null;
      if (key && merged.has(key)) {
        merged.get(key).uses.push({ node, index });
        return;
      }
      const edge = { source, target, from, uses: [{ node, index }] };
      if (key) merged.set(key, edge);
      found.push(edge);
    });
  }
  found.push({ source: shown(last), target: end, from: last, uses: [] });
  return found;
}

/** The gradient that comes back along an edge; none where several do. */
function gradientOf(edge) {
  if (edge.target === end) return array(last.grad);
  if (edge.uses.length > 1) return null;
  const [{ node, index }] = edge.uses;
  return array(node.downstream[index]);
}
