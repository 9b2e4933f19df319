// Conditions on what is known of the photos, and a threshold.

import {el} from "/page/dom.js";

const INPUTS = {string: "text", number: "number", date: "date"};
const OPS = {
  string: [["=", "is"], ["!=", "is not"], ["contains", "contains"]],
  number: [["=", "="], ["!=", "≠"], [">=", "≥"], ["<=", "≤"], [">", ">"], ["<", "<"]],
  boolean: [["=", "is"]],
  date: [["=", "on"], [">=", "from"], ["<=", "until"], [">", "after"], ["<", "before"]],
};

export class Filters {
  constructor(form, changed) {
    this.form = form;
    this.changed = changed;
    this.rows = el("div", {class: "rows"});
    this.threshold = el("input", {id: "threshold", type: "number", step: "any", inputmode: "decimal"});
    this.form.append(
      this.rows,
      el("p", {class: "row"},
        el("label", {for: "threshold"}, "No score less than"), this.threshold,
        el("button", {type: "submit"}, "Apply")),
    );
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.changed();
    });
  }

  // Fields and their types, as the service lists them.
  offer(fields) {
    this.fields = fields;
    if (!Object.keys(fields).length) return;
    const add = el("button", {type: "button", onclick: () => this.add()}, "Add a filter");
    this.form.prepend(el("p", {class: "row"}, add));
  }

  add() {
    const names = Object.keys(this.fields);
    const field = el("select", {"aria-label": "Field"}, ...names.map((name) => el("option", {}, name)));
    const row = el("fieldset", {class: "row"}, el("legend", {class: "unseen"}, "Filter"), field);
    const refit = () => {
      const kind = this.fields[field.value];
      const ops = OPS[kind].map(([op, said]) => el("option", {value: op}, said));
      const value = kind === "boolean"
        ? el("select", {"aria-label": "Value"}, el("option", {value: "true"}, "yes"), el("option", {value: "false"}, "no"))
        : el("input", {"aria-label": "Value", type: INPUTS[kind], step: "any", maxlength: 200, required: true});
      const gone = el("button", {type: "button", "aria-label": "Remove this filter", onclick: () => {
        row.remove();
        this.changed();
      }}, "✕");
      row.replaceChildren(row.firstChild, field, el("select", {"aria-label": "Comparison"}, ...ops), value, gone);
    };
    field.addEventListener("change", refit);
    refit();
    this.rows.append(row);
    field.focus();
  }

  value() {
    const filters = [...this.rows.children].map((row) => {
      const [field, op, value] = row.querySelectorAll("select, input");
      const kind = this.fields[field.value];
      const typed = kind === "number" ? Number(value.value) : kind === "boolean" ? value.value === "true" : value.value;
      return {field: field.value, op: op.value, value: typed};
    });
    return {filters, threshold: this.threshold.value === "" ? null : Number(this.threshold.value)};
  }
}
