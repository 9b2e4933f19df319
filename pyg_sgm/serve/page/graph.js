// The graph of a query: objects in the order of the sentence, relations as arcs over them. Every
// node is a button that opens its editor; subject and object change places by one click.

import {photoUrl} from "/page/api.js";
import {arrange} from "/page/arcs.js";
import {el, svg} from "/page/dom.js";

const ROW = 40; // pixels from one level of arcs to the next

export class Graph {
  constructor(section, change) {
    this.section = section;
    this.change = change;
    new ResizeObserver(() => this.draw()).observe(section);
  }

  show(query) {
    const same = this.focused();
    this.query = query;
    this.text = query.texts?.[0] ?? {objects: [], attributes: [], relations: [], spans: {}};
    this.editor = el("div", {class: "editor"});
    this.stage = el("div", {class: "stage"});
    this.section.replaceChildren(
      el("h2", {}, "What was read"),
      el("div", {class: "scroll"}, this.stage), this.editor, this.excluded());
    this.section.hidden = false;
    this.width = 0;
    this.draw();
    if (same) this.section.querySelector(`[data-node="${CSS.escape(same)}"]`)?.focus();
  }

  // A photo in place of a sentence.
  showPhoto({file, like}) {
    this.query = null;
    const source = file ? URL.createObjectURL(file) : photoUrl(like, 320);
    const name = file ? file.name : like;
    const image = el("img", {src: source, alt: ""});
    if (file) image.addEventListener("load", () => URL.revokeObjectURL(source));
    this.section.replaceChildren(
      el("h2", {}, "Photos like"), el("figure", {class: "like"}, image, el("figcaption", {}, name)));
    this.section.hidden = false;
  }

  focused() {
    return this.section.contains(document.activeElement) ? document.activeElement.dataset.node : null;
  }

  excluded() {
    const line = el("p", {class: "excluded"});
    for (const [index, text] of (this.query.exclude ?? []).entries()) {
      line.append(el("button", {
        type: "button", class: "without", "data-node": `exclude ${index}`,
        "aria-label": `Without ${text.caption}. Allow it again`,
        onclick: () => this.run({do: "allow", index}),
      }, el("s", {}, text.caption), " ✕"));
    }
    if (line.childElementCount) line.prepend("without ");
    return line;
  }

  // Draws anew if the width has changed.
  draw() {
    if (!this.query || this.section.clientWidth === this.width) return;
    this.width = this.section.clientWidth;
    const focused = this.focused();
    this.lay(false);
    if (this.stage.scrollWidth > this.width) this.lay(true);
    if (focused) this.section.querySelector(`[data-node="${CSS.escape(focused)}"]`)?.focus();
  }

  // Objects in a row under their arcs, or, where that is too wide, in a column beside them.
  lay(down) {
    const {objects, attributes, relations} = this.text;
    const order = this.order();
    const nodes = order.map((index) => el("li", {},
      this.node("object", index, objects[index]),
      el("span", {class: "attributes"}, ...attributes.flatMap(([owner, phrase], at) =>
        owner === index ? [this.node("attribute", at, phrase, `${phrase}, of ${objects[index]}`)] : []))));
    const add = el("button", {type: "button", class: "add", onclick: () => this.editNew()}, "+ object");
    const list = el("ul", {class: "nodes", "aria-label": "Objects"}, ...nodes, el("li", {class: "more"}, add));
    const edges = relations.map((relation, index) => this.edge(relation, index));
    const arcsOf = el("ul", {class: "edges", "aria-label": "Relations"}, ...edges);
    const lines = svg("svg", {class: "lines", "aria-hidden": "true"});
    this.stage.style.minWidth = "";
    this.stage.className = down ? "stage down" : "stage";
    this.stage.replaceChildren(lines, list, arcsOf);
    const place = nodes.map((node) => {
      const inner = node.firstChild;
      return down ? node.offsetTop + inner.offsetTop + inner.offsetHeight / 2 : node.offsetLeft + node.offsetWidth / 2;
    });
    const {arcs, depth} = arrange(
      relations.map(([s, , o], index) => ({
        from: order.indexOf(s), to: order.indexOf(o),
        size: down ? edges[index].offsetHeight : edges[index].offsetWidth,
      })), (index) => place[index], down ? 5 : 9);
    if (down) this.layDown(nodes.map((node) => node.firstChild), edges, lines, arcs, depth);
    else this.layAcross(list, edges, lines, arcs, depth);
  }

  layAcross(list, edges, lines, arcs, depth) {
    const base = depth * ROW + 10;
    list.style.paddingTop = `${base}px`;
    for (const [index, {start, end, middle, level}] of arcs.entries()) {
      const y = base - (level + 1) * ROW + 14;
      edges[index].style.left = `${middle}px`;
      edges[index].style.top = `${y}px`;
      draw(lines, start, base - 3, start, y, end, y, end, base - 3);
    }
    lines.setAttribute("width", this.stage.scrollWidth);
    lines.setAttribute("height", base);
  }

  layDown(boxes, edges, lines, arcs, depth) {
    const order = this.order();
    const right = (object) => boxes[order.indexOf(object)].offsetWidth;
    const widths = Array.from({length: depth}, (_, level) =>
      Math.max(...arcs.map((arc, index) => (arc.level === level ? edges[index].offsetWidth : 0))) + 12);
    const widest = boxes.flatMap((box) => [box.offsetWidth, box.nextSibling.offsetWidth]);
    const base = Math.max(...widest, 0) + 14;
    const left = (level) => widths.slice(0, level).reduce((sum, width) => sum + width, base);
    for (const [index, {start, end, middle, level}] of arcs.entries()) {
      const x = left(level) + widths[level] / 2;
      edges[index].style.left = `${x}px`;
      edges[index].style.top = `${middle}px`;
      const [s, , o] = this.text.relations[index];
      draw(lines, right(s) + 3, start, x, start, x, end, right(o) + 3, end);
    }
    lines.setAttribute("width", left(depth));
    lines.setAttribute("height", this.stage.scrollHeight);
    this.stage.style.minWidth = depth ? `${left(depth)}px` : "";
  }

  // Objects as the sentence names them; those that it does not name come last.
  order() {
    const spans = this.text.spans?.object ?? [];
    const first = (index) => spans[index]?.[0] ?? Infinity;
    return this.text.objects.map((_, index) => index).sort((a, b) => first(a) - first(b) || a - b);
  }

  node(kind, index, phrase, said) {
    return el("button", {
      type: "button", class: `node ${kind}`, "data-node": `${kind} ${index}`,
      "aria-label": `${kind} ${said ?? phrase}. Edit`, "aria-expanded": "false",
      onclick: (event) => this.edit(kind, index, phrase, event.currentTarget),
    }, phrase);
  }

  edge([s, phrase, o], index) {
    const {objects} = this.text;
    const said = `${objects[s]} ${phrase} ${objects[o]}`;
    return el("li", {class: "edge"},
      this.node("relation", index, phrase, said),
      el("button", {
        type: "button", class: "swap", "data-node": `swap ${index}`, title: "Swap subject and object",
        "aria-label": `Swap ${objects[s]} and ${objects[o]} in: ${said}`,
        onclick: () => this.run({do: "swap", index}),
      }, "⇄"));
  }

  async run(change) {
    this.section.classList.add("busy");
    try {
      this.closeEditor();
      await this.change(change);
    } catch (error) {
      this.editor.replaceChildren(el("p", {class: "wrong", role: "alert"}, error.message));
    } finally {
      this.section.classList.remove("busy");
    }
  }

  closeEditor() {
    this.editor.replaceChildren();
    this.open?.setAttribute("aria-expanded", "false");
    this.open = null;
  }

  edit(kind, index, phrase, button) {
    const again = this.open === button;
    this.closeEditor();
    if (again) return;
    this.open = button;
    button.setAttribute("aria-expanded", "true");
    const act = (label, change, title) =>
      el("button", {type: "button", title, onclick: () => this.run(change)}, label);
    this.openEditor(`Edit ${kind} ${phrase}`,
      line("Name", phrase, "Rename", (value) => this.run({do: "rename", kind, index, phrase: value})),
      el("p", {class: "row"},
        kind === "relation" ? act("Swap ends", {do: "swap", index}) : null,
        act("Exclude", {do: "exclude", kind, index}, "Search for photos without it"),
        act("Remove", {do: "remove", kind, index})),
      ...(kind === "object" ? this.more(index) : []));
  }

  // What may be said more of an object.
  more(index) {
    const others = this.text.objects.map((name, at) => [name, at]).filter(([, at]) => at !== index);
    const target = el("select", {"aria-label": "Object"},
      ...others.map(([name, at]) => el("option", {value: at}, name)));
    const describe = line("Describe", "", "Add", (value) =>
      this.run({do: "add_attribute", index, phrase: value}), "such as red");
    const relate = line("Relate", "", "Add", (value) =>
      this.run({do: "add_relation", index, phrase: value, target: Number(target.value)}), "such as rides");
    relate.querySelector("input").after(target);
    return others.length ? [describe, relate] : [describe];
  }

  editNew() {
    this.closeEditor();
    this.openEditor("Add an object",
      line("Object", "", "Add", (value) => this.run({do: "add_object", phrase: value}), "such as dog"));
  }

  openEditor(label, ...lines) {
    const close = () => {
      const back = this.open ?? this.stage.querySelector(".add");
      this.closeEditor();
      back?.focus();
    };
    this.editor.replaceChildren(el("div", {
      class: "form", role: "group", "aria-label": label,
      onkeydown: (event) => event.key === "Escape" && close(),
    }, ...lines, el("button", {type: "button", class: "close", "aria-label": "Close the editor", onclick: close}, "✕")));
    this.editor.querySelector("input").select();
  }
}

function draw(lines, x1, y1, x2, y2, x3, y3, x4, y4) {
  const bend = (from, to, by) => from + Math.sign(to - from) * Math.min(by, Math.abs(to - from) / 2);
  const r = 9;
  const path = [
    `M${x1} ${y1}`,
    `L${bend(x2, x1, r)} ${bend(y2, y1, r)}`, `Q${x2} ${y2} ${bend(x2, x3, r)} ${bend(y2, y3, r)}`,
    `L${bend(x3, x2, r)} ${bend(y3, y2, r)}`, `Q${x3} ${y3} ${bend(x3, x4, r)} ${bend(y3, y4, r)}`,
    `L${x4} ${y4}`,
  ].join("");
  const [dx, dy] = [Math.sign(x4 - x3), Math.sign(y4 - y3)];
  const head = `M${x4 - 5 * dx - 4 * dy} ${y4 - 5 * dy - 4 * dx}L${x4} ${y4}L${x4 - 5 * dx + 4 * dy} ${y4 - 5 * dy + 4 * dx}`;
  lines.append(svg("path", {d: path}), svg("path", {d: head}));
}

function line(label, value, action, done, placeholder) {
  const input = el("input", {value, maxlength: 100, required: true, placeholder, autocomplete: "off", "aria-label": label});
  return el("form", {
    class: "edit",
    onsubmit: (event) => {
      event.preventDefault();
      done(input.value.trim());
    },
  }, el("span", {class: "name", "aria-hidden": "true"}, label), input, el("button", {type: "submit"}, action));
}
