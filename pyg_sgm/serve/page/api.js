// The service's JSON; an answer that is an error is thrown with its message.

async function answer(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service does not answer.");
  }
  let value;
  try {
    value = await response.json();
  } catch {
    throw new Error(`The service answered with status ${response.status}.`);
  }
  if (!response.ok) throw new Error(value.error ?? `Status ${response.status}`);
  return value;
}

const post = (path, value, signal) => answer(path, {
  method: "POST",
  headers: {"content-type": "application/json"},
  body: JSON.stringify(value),
  signal,
});

export const info = () => answer("/api/info");
export const edit = (query, change) => post("/api/edit", {query, edit: change});
export const explain = (id, query, signal) => post("/api/explain", {id, query}, signal);
export const record = (id, signal) => answer(`/api/record?${new URLSearchParams({id})}`, {signal});
export const photoUrl = (id, side) => `/api/photo?${new URLSearchParams({id, side})}`;

// asked: {text}, {query}, {like} or {file}; options: k, filters, threshold.
export function search(asked, options, signal) {
  if (!asked.file) return post("/api/search", {...asked, ...options}, signal);
  const parameters = new URLSearchParams({k: options.k, filters: JSON.stringify(options.filters)});
  if (options.threshold !== null) parameters.set("threshold", options.threshold);
  return answer(`/api/similar?${parameters}`, {
    method: "POST",
    headers: {"content-type": "application/octet-stream"},
    body: asked.file,
    signal,
  });
}
