// Why a photo was found: words to boxes and triplets to pairs, drawn over the photo.

import * as api from "/page/api.js";
import {el, number, svg} from "/page/dom.js";
import {levels} from "/page/sheet.js";

const COLORS = ["#0072b2", "#c44e00", "#00775a", "#a6317f", "#7a5c00", "#5a4fcf", "#b3261e", "#3f6f21"];
const WEAK = 0.15; // share of the strongest match, below which a match is grey
const INK = "#1f2328";
const WIDTH = 1000; // units of the drawing

export class Why {
  constructor(dialog, like) {
    this.dialog = dialog;
    this.like = like;
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.step(-1);
      if (event.key === "ArrowRight") this.step(1);
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => this.running?.abort());
  }

  async open(hit, answer) {
    this.hit = hit;
    this.answer = answer;
    this.running?.abort();
    const {signal} = (this.running = new AbortController());
    if (!this.dialog.open) {
      this.dialog.replaceChildren(this.bar(), el("p", {class: "wait"}, "…"));
      this.dialog.showModal();
    }
    try {
      const told = answer.query
        ? await api.explain(hit.id, answer.query, signal)
        : {kind: "none", image: await api.record(hit.id, signal)};
      await this.show(told);
    } catch (error) {
      if (error.name !== "AbortError") {
        this.dialog.replaceChildren(this.bar(), el("p", {class: "wrong", role: "alert"}, error.message));
      }
    }
  }

  step(by) {
    const {hits} = this.answer;
    const next = hits[hits.findIndex((hit) => hit.id === this.hit.id) + by];
    if (next) this.open(next, this.answer);
  }

  bar() {
    const {hits} = this.answer;
    const place = hits.findIndex((hit) => hit.id === this.hit.id);
    const step = (by, label, sign) => el("button", {
      type: "button", "aria-label": label, title: label, disabled: !hits[place + by], onclick: () => this.step(by),
    }, sign);
    return el("header", {class: "bar"},
      el("h2", {id: "why-title"}, `${this.hit.rank}. ${this.hit.id}`),
      step(-1, "Photo before", "←"), step(1, "Photo after", "→"),
      el("button", {type: "button", class: "main", onclick: () => {
        this.dialog.close();
        this.like(this.hit.id);
      }}, "More like this"),
      el("button", {type: "button", "aria-label": "Close", title: "Close", onclick: () => this.dialog.close()}, "✕"));
  }

  async show(told) {
    const {image} = told;
    const [width, height] = image.size ?? (await naturalSize(image)) ?? [4, 3];
    this.scale = [WIDTH, (WIDTH * height) / width];
    this.boxes = image.boxes ?? grid(image.objects.length);
    this.image = image;
    this.overlay = svg("g");
    const picture = svg("svg", {
      viewBox: `0 0 ${this.scale[0]} ${this.scale[1]}`, role: "img", class: "photo",
      "aria-label": `${image.id}: ${image.objects.join(", ") || "no objects"}`,
    });
    picture.append(svg("rect", {class: "paper", width: this.scale[0], height: this.scale[1]}));
    if (image.has_photo) {
      picture.append(svg("image", {href: api.photoUrl(image.id, 1280), width: this.scale[0], height: this.scale[1]}));
    }
    picture.append(this.overlay);
    const focused = document.activeElement?.closest("dialog") && document.activeElement.getAttribute("aria-label");
    const reasons = el("div", {class: "reasons"});
    this.dialog.replaceChildren(this.bar(), el("div", {class: "both"}, picture, reasons));
    this.unit = WIDTH / (picture.clientWidth || WIDTH); // so that labels are as large as other text
    const parts = told.kind === "matches" ? this.matches(told) : told.kind === "attention" ? this.attention(told) : this.plain();
    reasons.append(...parts.filter(Boolean));
    const again = focused && this.dialog.querySelector(`[aria-label="${CSS.escape(focused)}"]:enabled`);
    (again || this.dialog).focus(); // which hears the arrow keys
  }

  // Nothing to compare with: the photo's own graph.
  plain() {
    this.draw(new Map(this.image.objects.map((_, index) => [index, COLORS[index % COLORS.length]])), []);
    const names = this.image.relations.map(([s, phrase, o]) =>
      el("li", {}, `${this.image.objects[s]} ${phrase} ${this.image.objects[o]}`));
    return [this.total(), el("h3", {}, "In this photo"), el("ul", {class: "plain"}, ...names)];
  }

  matches({text, matches}) {
    const own = matches.filter((match) => match.level !== "reverse");
    const words = own.filter((match) => match.text_kind === "word");
    const triplets = own.filter((match) => match.text_kind === "triplet");
    const share = (match, all) => Math.max(match.contribution, 0) / Math.max(...all.map((one) => one.contribution), 1e-9);
    const strong = [...words].filter((match) => match.image_kind === "object" && share(match, words) >= WEAK)
      .sort((one, two) => two.contribution - one.contribution);
    const colors = new Map();
    for (const match of strong) {
      if (!colors.has(match.image_index)) colors.set(match.image_index, COLORS[colors.size % COLORS.length]);
    }
    const of = (match) => match.image_kind === "object"
      ? {objects: [match.image_index], arrows: []}
      : this.pair(match.image_index);
    const strongest = triplets.filter((match) => share(match, triplets) >= WEAK);
    const all = {colors, arrows: merged(strongest.flatMap((match) => of(match).arrows))};
    const pointed = (match) => ({...of(match), colors});
    const byWord = new Map(words.map((match) => [match.text_index, match]));
    const chips = text.words.map((word, index) => {
      const match = byWord.get(index);
      const weak = !match || share(match, words) < WEAK;
      return this.chip(word, match, weak, match && !weak && colors.get(match.image_index), match && pointed(match), all);
    });
    this.draw(colors, all.arrows);
    return [
      this.total(),
      el("h3", {}, "Words and the boxes that answer them"), el("p", {class: "chips"}, ...chips),
      triplets.length ? el("h3", {}, "Triplets and the pairs that answer them") : null,
      el("ul", {class: "triplets"}, ...triplets.map((match) => el("li", {},
        this.chip(`${match.text_name} → ${match.image_name}`, match, share(match, triplets) < WEAK, null, pointed(match), all)))),
      this.missing(),
    ];
  }

  attention({image_nodes: seen, text_nodes: nodes, text_weights: shares, weights}) {
    const colors = new Map(this.image.objects.map((_, index) => [index, COLORS[index % COLORS.length]]));
    const looks = nodes.map((_, row) => looksAt(seen, weights[row]));
    const most = Math.max(...shares, 1e-9);
    const first = shares.indexOf(Math.max(...shares));
    const all = {colors, arrows: [], opacity: looks[first]};
    const chips = nodes.map((node, row) => this.chip(
      node.name, {similarity: shares[row]}, shares[row] < WEAK * most, null,
      {objects: null, arrows: [], colors, opacity: looks[row]}, all));
    this.draw(colors, [], null, looks[first]);
    return [this.total(), el("h3", {}, "Nodes of the text and where they look"), el("p", {class: "chips"}, ...chips), this.missing()];
  }

  pair(relation) {
    const [s, phrase, o] = this.image.relations[relation];
    return {objects: [s, o], arrows: [[s, phrase, o]]};
  }

  chip(name, match, weak, color, pointed, all) {
    const chip = el("button", {type: "button", class: weak ? "chip weak" : "chip", disabled: !pointed}, name);
    if (match) chip.append(el("small", {}, number(match.similarity)));
    if (color) chip.style.setProperty("--own", color);
    const on = () => this.draw(pointed.colors, pointed.arrows, pointed.objects, pointed.opacity);
    const off = () => this.draw(all.colors, all.arrows, null, all.opacity);
    if (pointed) {
      for (const kind of ["pointerenter", "focus"]) chip.addEventListener(kind, on);
      for (const kind of ["pointerleave", "blur"]) chip.addEventListener(kind, off);
    }
    return chip;
  }

  total() {
    const {hit} = this;
    const parts = Object.entries(hit.levels).map(([name, value]) =>
      el("li", {}, el("span", {class: `key ${name}`}), `${name} ${number(value)}`));
    const chance = hit.probability === null ? null : el("p", {}, `Chance of a match: ${Math.round(100 * hit.probability)} %`);
    const best = Math.max(...Object.values(hit.levels).map((value) => Math.max(value, 0)).concat(1e-9));
    const sum = Object.values(hit.levels).reduce((total, value) => total + Math.max(value, 0), 0);
    const known = Object.entries(hit.metadata).filter(([, value]) => value !== null);
    const facts = known.map(([name, value]) => `${name}: ${value}`).join(" · ");
    return el("div", {class: "total"}, el("p", {class: "big"}, `Score ${number(hit.score)}`), chance,
      levels(hit.levels, Math.max(sum, best)), el("ul", {class: "keys"}, ...parts),
      facts ? el("p", {class: "facts"}, facts) : null);
  }

  missing() {
    const {missing} = this.hit;
    return missing.length
      ? el("div", {class: "absent"}, el("h3", {}, "Missing in this photo"), el("p", {}, ...missing.map((name) => el("s", {}, name))))
      : null;
  }

  // Boxes that have a color, and arrows between two; with `only`, the others are faint.
  draw(colors, arrows, only = null, opacity = null) {
    const related = new Set(arrows.flatMap(([s, , o]) => [s, o]));
    const parts = [];
    const shownLast = [];
    for (const [index, box] of this.boxes.entries()) {
      const pointed = only?.includes(index);
      const color = colors.get(index) ?? (related.has(index) || pointed ? INK : null);
      const group = this.box(box, color, this.image.objects[index], only ? pointed : color !== null);
      if (opacity) group.style.opacity = `${0.1 + 0.9 * (opacity.get(index) ?? 0)}`;
      else if (only && !pointed) group.style.opacity = "0.25";
      (color ? shownLast : parts).push(group);
    }
    this.overlay.replaceChildren(...parts, ...shownLast.reverse(), ...arrows.map((arrow) => this.arrow(arrow)));
  }

  box([x1, y1, x2, y2], color, name, labelled) {
    const [w, h] = this.scale;
    const at = {x: x1 * w, y: y1 * h, width: (x2 - x1) * w, height: (y2 - y1) * h, rx: 3};
    if (!color) return svg("g", {}, svg("rect", {...at, class: "faint"}));
    const group = svg("g", {}, svg("rect", {...at, class: "halo"}), svg("rect", {...at, class: "strong", stroke: color}));
    if (labelled) group.append(this.label(name, at.x, at.y, color));
    return group;
  }

  arrow([s, phrase, o]) {
    const [w, h] = this.scale;
    const middle = (index) => {
      const [x1, y1, x2, y2] = this.boxes[index];
      return [((x1 + x2) / 2) * w, ((y1 + y2) / 2) * h];
    };
    const [[ax, ay], [bx, by]] = [middle(s), middle(o)];
    const length = Math.hypot(bx - ax, by - ay) || 1;
    const [dx, dy] = [(bx - ax) / length, (by - ay) / length];
    const [along, aside] = [13 * this.unit, 6 * this.unit];
    const head = [-1, 1].map((side) =>
      `${bx - along * dx + side * aside * dy} ${by - along * dy - side * aside * dx}`).join(`L${bx} ${by}L`);
    const line = `M${ax} ${ay}L${bx} ${by}M${head}`;
    return svg("g", {class: "arrow"},
      svg("path", {d: line, class: "halo"}), svg("path", {d: line, class: "strong"}),
      svg("circle", {cx: ax, cy: ay, r: 5 * this.unit}),
      this.label(phrase, (ax + bx) / 2, (ay + by) / 2, INK, true));
  }

  // A word on a plate: on the upper edge of a box that begins at x and y, or around that point.
  label(text, x, y, color, around = false) {
    const size = 14 * this.unit;
    const [width, height] = [(0.6 * text.length + 0.9) * size, 1.45 * size];
    const left = Math.min(Math.max(around ? x - width / 2 : x, 0), Math.max(this.scale[0] - width, 0));
    const top = Math.max(around ? y - height / 2 : y - height, 0);
    return svg("g", {class: "label"},
      svg("rect", {x: left, y: top, width, height, rx: 3, fill: color}),
      svg("text", {x: left + width / 2, y: top + 0.73 * height, "text-anchor": "middle", "font-size": size}, text));
  }
}

// One arrow for all relations of a pair of objects, in either direction.
function merged(arrows) {
  const found = new Map();
  for (const [s, phrase, o] of arrows) {
    const key = found.has(`${o} ${s}`) ? `${o} ${s}` : `${s} ${o}`;
    found.set(key, (found.get(key) ?? new Set()).add(phrase));
  }
  return [...found].map(([key, phrases]) => {
    const [s, o] = key.split(" ").map(Number);
    return [s, [...phrases].join(", "), o];
  });
}

// How much a node of the text looks at every object, the most being one.
function looksAt(nodes, row) {
  const looks = new Map();
  for (const [place, node] of nodes.entries()) {
    for (const object of node.objects) looks.set(object, Math.max(looks.get(object) ?? 0, row[place]));
  }
  const most = Math.max(...looks.values(), 1e-9);
  return new Map([...looks].map(([object, value]) => [object, value / most]));
}

async function naturalSize(image) {
  if (!image.has_photo) return null;
  const probe = new Image();
  probe.src = api.photoUrl(image.id, 1280);
  try {
    await probe.decode();
  } catch {
    return null;
  }
  return [probe.naturalWidth, probe.naturalHeight];
}

// Boxes side by side, for objects that lie nowhere.
function grid(total) {
  const columns = Math.max(1, Math.ceil(Math.sqrt(total)));
  return Array.from({length: total}, (_, index) => {
    const [x, y] = [index % columns, Math.floor(index / columns)];
    return [(x + 0.15) / columns, (y + 0.15) / columns, (x + 0.85) / columns, (y + 0.85) / columns];
  });
}
