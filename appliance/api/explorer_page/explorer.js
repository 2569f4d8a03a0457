"use strict";

// Renders /api/openapi.json and lets one try each route, with a token or with the session of this browser.

const MOST_SHOWN = 200_000; // characters of an answer

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function nameOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(nameOf).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" · ");
  if (schema.type === "array") return `list of ${nameOf(schema.items) || "anything"}`;
  return schema.format || schema.type || "anything";
}

function schemaText(document_, schema, depth = 0) {
  const pad = "  ".repeat(depth);
  if (schema && schema.$ref && depth < 4) {
    return schemaText(document_, document_.components.schemas[nameOf(schema)], depth);
  }
  if (!schema || !schema.properties || depth >= 4) return nameOf(schema);
  const required = new Set(schema.required || []);
  const lines = Object.entries(schema.properties).map(([name, part]) => {
    const inner = part.type === "array" && part.items ? `[ ${schemaText(document_, part.items, depth + 1)} ]` : schemaText(document_, part, depth + 1);
    const note = part.description ? `  // ${part.description}` : "";
    return `${pad}  ${name}${required.has(name) ? "" : "?"}: ${inner}${note}`;
  });
  return `{\n${lines.join("\n")}\n${pad}}`;
}

function parameterTable(operation, fields) {
  const rows = (operation.parameters || []).map((parameter) => {
    const schema = parameter.schema || Object.values(parameter.content || {})[0]?.schema;
    const input = make("input", { ariaLabel: parameter.name, placeholder: nameOf(schema), autocomplete: "off" });
    fields.push({ parameter, input });
    return make("tr", {}, make("td", {}, parameter.name, parameter.required ? " *" : ""), make("td", {}, input));
  });
  return rows.length ? [make("h3", {}, "Parameters"), make("table", {}, make("tbody", {}, ...rows))] : [];
}

function bodyEditor(document_, operation) {
  const content = operation.requestBody?.content["application/json"];
  if (!content) return { editor: null, nodes: [] };
  const example = content.example === undefined ? "" : JSON.stringify(content.example, null, 2);
  const editor = make("textarea", { value: example, spellcheck: false, ariaLabel: "Body" });
  const shape = make("details", {}, make("summary", {}, "All fields"), make("pre", {}, schemaText(document_, content.schema)));
  return { editor, nodes: [make("h3", {}, "Body"), editor, shape] };
}

function answerTable(document_, operation) {
  const rows = Object.entries(operation.responses).map(([status, answer]) => {
    const json = answer.content?.["application/json"];
    const media = Object.keys(answer.content || {}).join(", ");
    const told = status < 300 && json
      ? make("details", {}, make("summary", {}, nameOf(json.schema) || "JSON"), make("pre", {}, schemaText(document_, json.schema)))
      : document.createTextNode(status < 300 ? media || "nothing" : answer.description.replaceAll("`", ""));
    return make("tr", {}, make("td", {}, status), make("td", {}, told));
  });
  return [make("h3", {}, "Answers"), make("table", {}, make("tbody", {}, ...rows))];
}

function requestOf(path, method, fields, editor) {
  const query = new URLSearchParams();
  const headers = {};
  let address = path;
  for (const { parameter, input } of fields) {
    const value = input.value.trim();
    if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value && parameter.in === "query") query.set(parameter.name, value);
    else if (value) headers[parameter.name] = value;
  }
  const token = document.getElementById("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (editor) headers["Content-Type"] = "application/json";
  const tail = query.size ? `?${query}` : "";
  return [address + tail, { method: method.toUpperCase(), headers, body: editor ? editor.value : undefined }];
}

async function shown(answer) {
  const kind = answer.headers.get("content-type") || "";
  if (kind.startsWith("text/event-stream")) {
    await answer.body.cancel();
    return "A stream: open it with curl -N or EventSource.";
  }
  if (!/json|text|xml|ndjson/.test(kind)) return `${(await answer.blob()).size} bytes of ${kind || "nothing"}`;
  const text = await answer.text();
  try {
    return JSON.stringify(JSON.parse(text), null, 2).slice(0, MOST_SHOWN);
  } catch {
    return text.slice(0, MOST_SHOWN);
  }
}

function trial(path, method, fields, editor) {
  const button = make("button", { type: "button" }, "Send");
  const status = make("p", { className: "status", role: "status" });
  const body = make("pre", { hidden: true });
  button.addEventListener("click", async () => {
    button.disabled = true;
    const began = performance.now();
    try {
      const answer = await fetch(...requestOf(path, method, fields, editor));
      body.textContent = await shown(answer);
      status.textContent = `${answer.status} ${answer.statusText} · ${Math.round(performance.now() - began)} ms`;
      status.className = `status ${answer.ok ? "good" : "bad"}`;
    } catch (error) {
      body.textContent = String(error);
      status.textContent = "The appliance did not answer";
      status.className = "status bad";
    }
    body.hidden = !body.textContent;
    button.disabled = false;
  });
  return [button, status, body];
}

function route(document_, path, method, operation) {
  const head = make("summary", {},
    make("span", { className: `method ${method}` }, method.toUpperCase()),
    make("span", { className: "path" }, path),
    make("span", { className: "summary" }, operation.summary));
  const details = make("details", { className: "route", id: operation.operationId }, head);
  details.dataset.words = `${method} ${path} ${operation.summary} ${operation.tags}`.toLowerCase();
  details.addEventListener("toggle", () => { // what nobody opens is never built
    if (!details.open || details.childElementCount > 1) return;
    const fields = [];
    const { editor, nodes } = bodyEditor(document_, operation);
    details.append(make("div", { className: "inside" },
      operation.description ? make("p", {}, operation.description.replaceAll("`", "")) : null,
      ...parameterTable(operation, fields), ...nodes, ...trial(path, method, fields, editor),
      ...answerTable(document_, operation)));
  });
  return details;
}

function render(document_) {
  const main = document.getElementById("routes");
  const contents = document.getElementById("contents");
  main.replaceChildren(make("p", {}, document_.info.description.replaceAll("`", "")));
  const groups = new Map(document_.tags.map(({ name }) => [name, []]));
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      groups.get(operation.tags[0]).push(route(document_, path, method, operation));
    }
  }
  for (const [name, routes] of groups) {
    main.append(make("h2", {}, name), ...routes);
    contents.append(make("h2", {}, name), ...routes.map((one) => make("a", { href: `#${one.id}` }, one.querySelector(".summary").textContent)));
  }
  follow();
}

function follow() {
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  if (!wanted) return;
  wanted.open = true;
  wanted.scrollIntoView();
}

function find(event) {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const one of document.querySelectorAll("details.route")) {
    one.hidden = !words.every((word) => one.dataset.words.includes(word));
  }
}

window.addEventListener("hashchange", follow);
document.querySelector("form.token").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("find").addEventListener("input", find);
fetch("/api/openapi.json")
  .then((answer) => answer.json())
  .then(render)
  .catch((error) => {
    document.getElementById("routes").replaceChildren(make("p", {}, `The document cannot be read: ${error}`));
  });
