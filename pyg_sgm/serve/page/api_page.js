// The OpenAPI description of the service, as a page.

import {el, find} from "/page/dom.js";

const description = await (await fetch("/openapi.json")).json();

const named = (schema) => schema?.$ref
  ? description.components.schemas[schema.$ref.split("/").pop()]
  : schema;

function typeOf(schema) {
  const whole = named(schema) ?? {};
  if (whole.anyOf) return [...new Set(whole.anyOf.map(typeOf))].join(" or ");
  if (whole.const !== undefined) return JSON.stringify(whole.const);
  if (whole.enum) return whole.enum.map((one) => JSON.stringify(one)).join(", ");
  if (whole.type === "array") return `list of ${whole.items ? typeOf(whole.items) : "values"}`;
  if (schema.$ref) return `${whole.title} (${Object.keys(whole.properties ?? {}).join(", ")})`;
  return whole.type ?? "any";
}

function limits(schema) {
  const whole = [schema, ...(schema.anyOf ?? [])];
  const said = {minimum: "at least", maximum: "at most", maxLength: "letters at most", maxItems: "items at most"};
  return whole.flatMap((one) => Object.entries(said)
    .filter(([key]) => one[key] !== undefined).map(([key, words]) => `${words} ${one[key]}`));
}

function table(rows) {
  return el("table", {}, ...rows.map(([name, schema, required]) => {
    const about = [typeOf(schema), ...limits(schema)];
    if (required) about.push("needed");
    else if (schema.default !== undefined) about.push(`default ${JSON.stringify(schema.default)}`);
    return el("tr", {}, el("td", {}, el("code", {}, name)),
      el("td", {}, about.join(", "), schema.description ? `. ${schema.description}` : ""));
  }));
}

const fields = (schema) => Object.entries(schema.properties ?? {})
  .map(([name, field]) => [name, field, (schema.required ?? []).includes(name)]);

function operation(path, method, about) {
  const section = el("section", {class: "operation"},
    el("h2", {}, el("b", {}, method.toUpperCase()), path), el("p", {}, about.description ?? about.summary));
  if (about.parameters?.length) {
    section.append(el("h3", {}, "Parameters"), table(about.parameters.map((one) =>
      [one.name, {...one.schema, description: one.description}, one.required])));
  }
  for (const [type, {schema}] of Object.entries(about.requestBody?.content ?? {})) {
    section.append(el("h3", {}, `Body, ${type}`));
    if (named(schema).properties) section.append(table(fields(named(schema))));
  }
  for (const [type, {schema}] of Object.entries(about.responses["200"]?.content ?? {})) {
    section.append(el("h3", {}, `Answer, ${type}`));
    if (named(schema)?.properties) section.append(table(fields(named(schema))));
  }
  return section;
}

for (const [path, methods] of Object.entries(description.paths)) {
  for (const [method, about] of Object.entries(methods)) find("operations").append(operation(path, method, about));
}
