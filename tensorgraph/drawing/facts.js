"use strict";
// All that is known about a node, as elements.

/** `visit` is called with a node whose name is clicked, `close` to leave. */
function factsOf(node, visit, close) {
  const title = tag("h2", {}, node.name ?? node.op);
  const leave = tag("button", { class: "close", "aria-label": "Close" }, "×");
  leave.addEventListener("click", close);
  const rows = [
    ["node", `#${node.id}`],
    ["operation", node.gate ? `${node.op} (${node.gate} gate)` : node.op],
    ["layers", node.layers?.join(" / ")],
    ["error", node.error],
    ["shape", array(node.value) && `(${array(node.value).shape.join(", ")})`],
    ["dtype", array(node.value)?.dtype],
    ...Object.entries(node.options ?? {}),
    ["source", node.source],
  ];
  const list = tag("dl", {});
  for (const [name, text] of rows) if (text) list.append(tag("dt", {}, name), tag("dd", {}, text));
  if (node.inputs.length) {
    const inputs = tag("dd", {});
    node.inputs.forEach((given, i) => inputs.append(link(graph.nodes[given], `${node.arguments[i]}: `, visit)));
    list.append(tag("dt", {}, "inputs"), inputs);
  }
  const parts = [leave, title, list, ...numbersOf("Value", "value", array(node.value))];
  parts.push(...numbersOf("Gradient", "gradient", array(node.grad)));
  if (!array(node.grad)) parts.push(tag("p", { class: "hint" }, "No gradient arrives here."));
  if (node.rule) {
    parts.push(tag("h3", {}, "Rule"), tag("p", { class: "words" }, node.rule.words));
    if (node.rule.forward) parts.push(equation(node.rule.forward, "value"));
    for (const sent of node.rule.backward) parts.push(equation(sent, "gradient"));
  }
  return parts;
}

function tag(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children); // a string becomes text, never markup
  return element;
}

function link(node, before, visit) {
  const button = tag("button", { class: "link" }, node.called);
  button.addEventListener("click", () => visit(node));
  return tag("span", {}, before, button, " ");
}

/** An array: in full if the page has it, otherwise in statistics, with its heat map. */
function numbersOf(title, kind, numbers) {
  if (!numbers) return [];
  const parts = [tag("h3", {}, title)];
  if (numbers.picture) parts.push(tag("img", { src: heatMap(numbers.picture, kind), alt: `heat map of the ${kind}`, class: kind }));
  const statistics = tag("pre", { class: kind }, numbers.lines.join("\n"));
  if (!numbers.values) return [...parts, statistics];
  if (numbers.values.length > 1) parts.push(statistics);
  const columns = numbers.shape.at(-1) ?? 1;
  const rows = [];
  for (let i = 0; i < numbers.values.length; i += columns) rows.push(numbers.values.slice(i, i + columns).join("  "));
  if (numbers.values.length === 1) return [...parts, tag("pre", { class: `${kind} exact` }, rows.join("\n"))];
  const digits = tag("details", {}, tag("summary", {}, "all digits"), tag("pre", { class: `${kind} exact` }, rows.join("\n")));
  return [...parts, digits];
}
