// Elements are made of text and attributes alone; nothing from outside is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

// el("button", {class: "node", onclick: f}, "man", otherElement)
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const find = (id) => document.getElementById(id);

export const number = (value, digits = 2) => value.toFixed(digits).replace("-", "−");

export const count = (value, noun) =>
  `${value.toLocaleString("en")} ${noun}${value === 1 ? "" : "s"}`;
