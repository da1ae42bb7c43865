"use strict";
// The steps: every gate forward, then the gradient of the output, then every gate backward.

const forward = graph.nodes.filter((node) => node.gate).map((node) => ({ node, phase: "forward" }));
const backward = graph.nodes
  .filter((node) => node.gate && node.grad !== null)
  .map((node) => ({ node, phase: "backward" }))
  .reverse();
const steps = [...forward, ...(last.grad === null ? [] : [{ node: last, phase: "seed" }]), ...backward];
const computedAt = new Map(); // node -> the step at which its value is there; what goes in is there from the start
const sentAt = new Map(); // node -> the step at which it sends its gradients
steps.forEach(({ node, phase }, i) => {
  if (phase === "forward") computedAt.set(node, i + 1);
  if (phase === "backward") sentAt.set(node, i + 1);
});

const state = {
  done: steps.length, // steps; at first all is shown
  current: last.error ? steps.at(-1) : null, // the last step done, once somebody steps
  edges: [],
  selected: null,
};

/** Whether the value and the gradient of an edge are known by now, and whether the current step uses the edge. */
function statusOf(edge) {
  const sent = edge.target === end ? forward.length + 1 : Math.min(...edge.uses.map(({ node }) => sentAt.get(node) ?? 0));
  const { node, phase } = state.current ?? {};
  const carries = ({ node: user, index }) => user === node && (phase === "forward" || user.downstream[index] !== null);
  const lit = phase === "seed" ? edge.target === end : edge.uses.some(carries);
  return {
    value: (computedAt.get(edge.from) ?? 0) <= state.done,
    gradient: sent <= state.done,
    lit: lit && (phase === "forward" ? "value" : "gradient"),
  };
}

/** The next place to stop: in a folded box all gates that follow each other are one step. */
function nextStop(direction) {
  let done = state.done;
  if (!state.current && direction > 0) done = 0;
  const item = (i) => shown(steps[i - 1].node);
  const together = (i, j) => steps[j - 1] && isBox(item(i)) && item(i) === item(j) && steps[i - 1].phase === steps[j - 1].phase;
  if (direction > 0) {
    if (done < steps.length) done += 1;
    while (done < steps.length && together(done, done + 1)) done += 1;
    return done;
  }
  while (done > 1 && together(done, done - 1)) done -= 1;
  return Math.max(0, done - 1);
}

/** The current step in words, as elements. */
function spelled() {
  const lines = document.createDocumentFragment();
  if (!state.current) {
    lines.append(...summary());
    return lines;
  }
  const { node, phase } = state.current;
  const box = shown(node);
  const what = isBox(box) ? box.label : phase === "seed" ? "the output by itself" : `${node.called} ${node.op}`;
  lines.append(heading(phase === "forward" ? "Forward" : "Backward", what, isBox(box) ? null : node.layers?.at(-1)));
  if (isBox(box)) {
    lines.append(line("hint", `${titleOf(box).small[0]}, folded. Press F to unfold it and to go through its gates.`));
    return lines;
  }
  if (phase === "seed") {
    lines.append(line("gradient", `dL/dL = ${array(last.grad).lines.join(" ")}`));
  } else if (node.error) {
    lines.append(line("error", node.error));
  } else if (phase === "forward") {
    lines.append(node.rule.forward ? equation(node.rule.forward, "value") : line("value", "the same value for every use"));
  } else {
    lines.lastChild.append(" ", words(node.rule.words));
    for (const sent of node.rule.backward) lines.append(equation(sent, "gradient"));
  }
  return lines;
}

/** What the graph is, and how to begin. */
function summary() {
  const learned = graph.nodes.filter((node) => node.op === "parameter");
  const numbers = learned.reduce((sum, node) => sum + array(node.value).shape.reduce((a, b) => a * b, 1), 0);
  const contents = [plural(forward.length, "gate"), plural(learned.length, "parameter")].join(", ");
  const output = array(last.value)?.shape.length ? "" : ` = ${array(last.value).lines[0]}`;
  return [
    line("equation value", `${last.called}${output}`),
    line("hint", `${contents} with ${plural(numbers, "number")}.`),
    line("hint", state.done ? "All values and gradients are shown. Press → to go through them gate by gate."
      : "Only what goes in is known. Press → to compute gate by gate."),
  ];
}

/** left = symbols = numbers = result, with captions: downstream = upstream × local. */
function equation({ left, symbols, pieces, result }, kind) {
  const element = line(`equation ${kind}`, "");
  const length = [left, ...pieces.flatMap(([, names, numbers]) => [names, numbers[0]]), result[0]].join("").length;
  if (!symbols || length > 110) element.classList.add(length > 160 ? "longest" : "long");
  const captioned = pieces.some(([role]) => role === "upstream");
  const part = (role, lines) => {
    const span = document.createElement("span");
    span.className = role ? `part ${role}` : "part";
    span.textContent = lines.join("\n");
    if (role && captioned) span.dataset.role = role;
    element.append(span);
  };
  part(captioned ? "downstream" : "", [left]);
  if (symbols) {
    part("", [" = "]);
    for (const [role, names] of pieces) part(role, [names]);
  }
  if (pieces.length) part("", [" = "]);
  for (const [role, , numbers] of pieces) part(role, numbers);
  part("", [" = "]);
  part(captioned ? "downstream" : "result", result);
  return element;
}

function line(kind, text) {
  const element = document.createElement("p");
  element.className = kind;
  element.textContent = text;
  return element;
}

function words(text) {
  const element = document.createElement("span");
  element.className = "words";
  element.textContent = text;
  return element;
}

function heading(word, what, layer) {
  const element = line("heading", "");
  const badge = document.createElement("b");
  badge.textContent = word;
  badge.className = word.toLowerCase();
  element.append(badge, ` ${what}${layer ? ` in ${layer}` : ""}`);
  return element;
}
