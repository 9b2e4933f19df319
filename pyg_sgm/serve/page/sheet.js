// What was found, as a contact sheet; and how it moved since the search before.

import {photoUrl} from "/page/api.js";
import {el, number} from "/page/dom.js";

const NAMED = 5; // of the photos that are gone

// Draws the sheet and returns how many photos moved.
export function showSheet(list, answer, before, open) {
  const best = Math.max(...answer.hits.map((hit) => Math.abs(hit.score)), 1e-9);
  const ranks = before && new Map(before.hits.map((hit) => [hit.id, hit.rank]));
  let moved = 0;
  list.replaceChildren(...answer.hits.map((hit) => {
    const was = ranks?.get(hit.id);
    const change = ranks && was !== hit.rank ? moveOf(was, hit.rank, before.hits.length) : null;
    moved += change !== null;
    return el("li", {}, card(hit, best, change, open));
  }));
  return moved;
}

export function showLeft(line, answer, before) {
  const here = new Set(answer.hits.map((hit) => hit.id));
  const gone = before ? before.hits.filter((hit) => !here.has(hit.id)) : [];
  const named = gone.slice(0, NAMED).map((hit) => `${hit.id} (was ${hit.rank})`).join(", ");
  const more = gone.length > NAMED ? ` and ${gone.length - NAMED} more` : "";
  line.textContent = gone.length ? `No longer among these: ${named}${more}` : "";
}

function moveOf(was, rank, most) {
  if (was === undefined) return {text: "new", said: `was not among the first ${most}`, up: true};
  return {text: `${was > rank ? "↑" : "↓"} was ${was}`, said: `was ${was}`, up: was > rank};
}

function card(hit, best, change, open) {
  const chance = hit.probability === null ? null : `${Math.round(100 * hit.probability)} %`;
  const said = [
    `${hit.rank}. ${hit.id}`, `score ${number(hit.score)}`, chance && `chance ${chance}`,
    change?.said, hit.missing.length && `missing: ${hit.missing.join(", ")}`,
  ].filter(Boolean).join("; ");
  return el("button", {class: "card", "aria-label": said, title: hit.id, onclick: () => open(hit)},
    el("span", {class: "picture"}, picture(hit)),
    el("span", {class: "line"},
      el("span", {class: "rank"}, `${hit.rank}`),
      change && el("span", {class: change.up ? "move up" : "move"}, change.text),
      chance && el("span", {class: "chance"}, chance),
      el("span", {class: "score"}, number(hit.score))),
    levels(hit.levels, best),
    hit.missing.length ? el("span", {class: "missing"}, ...hit.missing.map((name) => el("s", {}, name))) : null,
  );
}

function picture(hit) {
  if (!hit.has_photo) return el("span", {class: "none"}, hit.id);
  return el("img", {src: photoUrl(hit.id, 320), alt: "", loading: "lazy", decoding: "async",
    onerror: (event) => event.target.replaceWith(el("span", {class: "none"}, hit.id))});
}

// What each level adds to the score, as a share of the best score.
export function levels(parts, best) {
  const bar = el("span", {class: "levels", "aria-hidden": "true"});
  for (const [name, value] of Object.entries(parts)) {
    if (value <= 0) continue;
    const part = el("span", {class: `level ${name}`});
    part.style.width = `${(100 * value) / best}%`;
    bar.append(part);
  }
  return bar;
}
