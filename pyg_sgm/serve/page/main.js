// The page: what is asked, what was found before, and the parts that show them.

import * as api from "/page/api.js";
import {count, el, find} from "/page/dom.js";
import {Filters} from "/page/filters.js";
import {Graph} from "/page/graph.js";
import {showLeft, showSheet} from "/page/sheet.js";
import {Why} from "/page/why.js";

const K = 24;
let known = null; // what the service says of itself
let asked = null; // what was asked last, for the filters to ask again
let shown = null; // its answer
let running = null; // the search that has not ended

const graph = new Graph(find("asked"), async (change) => {
  const {query} = await api.edit(shown.query, change);
  await ask({query}, {compare: true});
});
const filters = new Filters(find("filters"), () => asked && ask(asked, {compare: true}));
const why = new Why(find("why"), (id) => ask({like: id}));

async function ask(next, {compare = false} = {}) {
  running?.abort();
  const own = (running = new AbortController());
  document.body.classList.add("busy");
  find("trouble").textContent = "";
  try {
    const options = {k: K, ...filters.value()};
    const answer = await api.search(next, options, own.signal);
    const before = compare ? shown : null;
    asked = answer.query ? {query: answer.query} : next;
    shown = answer;
    show(next, answer, before);
  } catch (error) {
    if (error.name !== "AbortError") find("trouble").textContent = error.message;
  } finally {
    if (running === own) {
      running = null;
      document.body.classList.remove("busy");
    }
  }
}

function show(next, answer, before) {
  if (answer.query) {
    if (!next.text) find("sentence").value = sentence(answer.query);
    graph.show(answer.query);
  } else {
    find("sentence").value = "";
    graph.showPhoto(next);
  }
  const moved = showSheet(find("sheet"), answer, before, (hit) => why.open(hit, answer));
  showLeft(find("left"), answer, before);
  const found = count(answer.hits.length, "photo");
  const certificate = answer.certified
    ? `exact: ${count(answer.num_images, "photo")}, ${answer.num_scored.toLocaleString("en")} scored`
    : `not proved to be the best: ${answer.num_scored.toLocaleString("en")} of ${count(answer.num_images, "photo")} scored`;
  find("status").replaceChildren(...[
    el("strong", {}, answer.hits.length ? `${found} found` : "Nothing found"),
    el("span", {class: answer.certified ? "exact" : ""}, certificate),
    el("span", {}, `${Math.max(1, Math.round(answer.seconds * 1000))} ms`),
    before && answer.hits.length && el("span", {}, moved ? `${moved} moved` : "none moved"),
  ].filter(Boolean));
}

// A query as a sentence that would be read as it again.
function sentence(query) {
  const parts = (query.texts ?? []).map((text) => text.caption);
  const without = (query.exclude ?? []).map((text) => `without ${text.caption}`);
  return [...parts, ...without].join(" ");
}

function askFile(file) {
  if (!file) return;
  if (known && file.size > known.most_bytes) {
    find("trouble").textContent =
      `${file.name} is too large: a photo may have ${Math.floor(known.most_bytes / 2 ** 20)} MB.`;
    return;
  }
  ask({file});
}

find("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = find("sentence").value.trim();
  if (text) ask({text});
});
find("file").addEventListener("change", (event) => {
  askFile(event.target.files[0]);
  event.target.value = "";
});

let over = 0; // elements that a file is dragged over
for (const [kind, step] of [["dragenter", 1], ["dragleave", -1]]) {
  addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    over += step;
    find("drop").hidden = over <= 0;
  });
}
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  over = 0;
  find("drop").hidden = true;
  askFile(event.dataTransfer.files[0]);
});
addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, select, textarea, dialog");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    find("sentence").select();
  }
});

try {
  known = await api.info();
  find("collection").textContent = `${count(known.num_images, "photo")} · ${known.model}`;
  find("sentence").maxLength = known.most_letters;
  filters.offer(known.fields);
} catch (error) {
  find("trouble").textContent = error.message;
}
find("sentence").focus();
