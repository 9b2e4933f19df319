// Where arcs over a row (or beside a column) of boxes go: each with a level and two ends, so that
// no two on a level overlap.

// items: [{from, to, size}], indices of boxes and length of the label; at(index) is the middle of a
// box. Returns [{start, end, middle, level}] in the order of the items, and the number of levels.
export function arrange(items, at, spread) {
  const order = items.map((item, place) => ({...item, place}))
    .sort((one, two) => Math.abs(two.from - two.to) - Math.abs(one.from - one.to));
  const used = new Map(); // arcs that leave a box to either side so far, the longest first
  const arcs = [];
  for (const {from, to, place} of order) {
    const end = (index, other) => {
      const side = other > index ? 1 : -1;
      const key = `${index}/${side}`;
      used.set(key, (used.get(key) ?? 0) + 1);
      return at(index) + side * spread * used.get(key);
    };
    const [start, stop] = from === to ? [at(from) - 14, at(from) + 14] : [end(from, to), end(to, from)];
    arcs[place] = {start, end: stop, middle: (start + stop) / 2};
  }
  const levels = []; // of each, the spans that are taken
  for (const {size, place} of order.reverse()) {
    const {start, end, middle} = arcs[place];
    const low = Math.min(start, end, middle - size / 2) - 4;
    const high = Math.max(start, end, middle + size / 2) + 4;
    const free = (level) => levels[level].every(([a, b]) => high <= a || low >= b);
    // Above all that it spans, so that no line crosses a label.
    let level = levels.length;
    while (level > 0 && free(level - 1)) level -= 1;
    (levels[level] ??= []).push([low, high]);
    arcs[place].level = level;
  }
  return {arcs, depth: levels.length};
}
