// Compares the calls that two conversions of one Swagger 2.0 document allow: npm swagger2openapi's
// and plugway's.
//
//   node compare_swagger2.mjs ORIGINAL CONVERTED.json [--list]
//
// ORIGINAL is the 2.0 document (JSON or YAML; references to other files are followed by
// swagger2openapi). CONVERTED.json is an OpenAPI 3.x document that plugway made of it. It may be
// the converted document itself or a published one. Exit 0: no difference but the known ones
// (KNOWN below says why each is right); 1: others, one a line. `--list` prints the known ones too.
//
// swagger2openapi is found in node_modules beside this file, in NODE_MODULES, or above.
//
// What is compared: for each method and path the parameters (in, name, required, style, explode,
// type, item type, enum), the body (required, media types, for each the type, properties and
// required properties), the responses (status, media types, for each the type and properties), and
// the URLs of `servers`.
//
// What is normalised on both sides, because it says the same:
// - operations are found by method and path: operationIds may differ; a query or fragment in a path
//   key is dropped
// - references are followed; parameters of the path item are merged into the operation
// - header names have no case
// - style and explode that are not written are their defaults; they mean something for arrays and
//   objects only
// - `type: [T, null]`, `anyOf` with null, `nullable: true` and `allOf` with one schema are T
// - properties of `allOf` are those of the schema
// - servers: a trailing slash, and the order; `//host` has the scheme that plugway takes for granted
// - a published document (3.1.0 or 3.0.1) has the gateway as its only server: servers are compared
//   only when CONVERTED says 3.0.3, as the conversion itself does

import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const folders = [process.env.NODE_MODULES, import.meta.dirname, process.cwd()].filter(Boolean);
const s2o = folders.reduce((found, folder) => {
  if (found) return found;
  try {
    return createRequire(path.resolve(folder, 'x.js'))('swagger2openapi');
  } catch {
    return null;
  }
}, null);
if (!s2o) throw new Error('npm swagger2openapi is not installed');

const METHODS = ['get', 'put', 'post', 'delete', 'head', 'patch'];
const MAX_DEPTH = 12;

/** Follows references. */
function follow(root, value) {
  for (let hops = 0; value && typeof value.$ref === 'string' && hops < 32; hops++) {
    let found = root;
    for (const segment of value.$ref.replace(/^#\/?/, '').split('/').filter(Boolean)) {
      const key = decodeURIComponent(segment).replace(/~1/g, '/').replace(/~0/g, '~');
      found = found?.[key];
      if (found && typeof found.$ref === 'string') found = follow(root, found);
    }
    value = found;
  }
  return value;
}

/** A schema, reduced to its type, its properties and their types. */
function shape(root, schema, depth = 0) {
  schema = follow(root, schema);
  if (!schema || typeof schema !== 'object' || depth > MAX_DEPTH) return {};
  const parts = [schema];
  const isNull = (s) => s?.type === 'null' || (s?.enum?.length === 1 && s.enum[0] === null);
  for (const name of ['anyOf', 'oneOf']) {
    const rest = (schema[name] ?? []).filter((s) => !isNull(s));
    if (rest.length === 1) parts.push(rest[0]);
  }
  const out = { properties: {}, required: new Set() };
  for (const inner of schema.allOf ?? []) parts.push(inner);
  parts.forEach((part, index) => {
    part = index === 0 ? part : follow(root, part);
    const nested = index === 0 ? null : shape(root, part, depth + 1);
    const type = [part?.type ?? nested?.type].flat().filter((t) => t && t !== 'null').sort().join('|');
    out.type ||= type;
    out.format ||= part?.format ?? nested?.format;
    if (part?.items || nested?.items) out.items ??= nested?.items ?? shape(root, part.items, depth + 1);
    if (part?.enum) out.enum ??= part.enum.filter((v) => v !== null);
    for (const [name, property] of Object.entries(part?.properties ?? {})) {
      out.properties[name] ??= shape(root, property, depth + 1);
    }
    for (const [name, property] of Object.entries(nested?.properties ?? {})) out.properties[name] ??= property;
    for (const name of Array.isArray(part?.required) ? part.required : []) out.required.add(name);
    for (const name of nested?.required ?? []) out.required.add(name);
  });
  return out;
}

/** One line for a shape. `deep`: whether properties are told. */
function told(shape, deep = 2) {
  let text = shape.type || 'any';
  if (shape.format === 'binary') text = 'binary';
  if (shape.items) text += `<${told(shape.items, deep - 1)}>`;
  if (shape.enum?.length) text += `(${shape.enum.join(',')})`;
  const names = Object.keys(shape.properties ?? {}).sort();
  if (names.length && deep > 0) {
    const property = (n) => `${n}${shape.required.has(n) ? '!' : ''}:${told(shape.properties[n], deep - 1)}`;
    text += `{${names.map(property).join(' ')}}`;
  }
  return text;
}

/** Parameters as `in name` → text. */
function parameters(root, item, operation) {
  const out = new Map();
  for (const list of [item.parameters, operation.parameters]) {
    for (let parameter of Array.isArray(list) ? list : []) {
      parameter = follow(root, parameter);
      if (!parameter?.name || !parameter.in) continue;
      const content = Object.values(parameter.content ?? {})[0];
      const schema = shape(root, parameter.schema ?? content?.schema);
      const usual = ['query', 'cookie'].includes(parameter.in) ? 'form' : 'simple';
      const style = parameter.style ?? usual;
      const explode = parameter.explode ?? style === 'form';
      const list = schema.type === 'array' || schema.type === 'object';
      const name = parameter.in === 'header' ? parameter.name.toLowerCase() : parameter.name;
      const text = [parameter.required || parameter.in === 'path' ? 'required' : 'optional', told(schema)];
      if (list) text.push(style, explode ? 'exploded' : 'joined');
      out.set(`parameter ${parameter.in} ${name}`, text.join(' '));
    }
  }
  return out;
}

/** Media types as name → text. */
function content(root, what, of, out) {
  for (const [name, media] of Object.entries(of ?? {})) {
    out.set(`${what} ${name}`, told(shape(root, media?.schema)));
    for (const [property, encoding] of Object.entries(media?.encoding ?? {})) {
      const style = encoding.style ?? 'form';
      const explode = encoding.explode ?? style === 'form';
      const joined = style !== 'form' || !explode;
      if (joined) out.set(`${what} ${name} encoding ${property}`, `${style} ${explode ? 'exploded' : 'joined'}`);
    }
  }
}

/** All that a document allows: `METHOD path` → (what → text). */
function calls(root) {
  const out = new Map();
  for (const [key, value] of Object.entries(root.paths ?? {})) {
    if (key.startsWith('x-')) continue;
    const item = follow(root, value) ?? {};
    for (const method of METHODS) {
      const operation = follow(root, item[method]);
      if (!operation || typeof operation !== 'object') continue;
      const facts = parameters(root, item, operation);
      const body = follow(root, operation.requestBody);
      if (body) {
        facts.set('body', body.required ? 'required' : 'optional');
        content(root, 'body', body.content, facts);
      }
      for (const [status, written] of Object.entries(operation.responses ?? {})) {
        if (status.startsWith('x-')) continue;
        const response = follow(root, written);
        facts.set(`response ${status}`, 'there');
        content(root, `response ${status}`, response?.content, facts);
        for (const [name, header] of Object.entries(response?.headers ?? {})) {
          const schema = follow(root, header)?.schema;
          facts.set(`response ${status} header ${name.toLowerCase()}`, told(shape(root, schema)));
        }
      }
      out.set(`${method.toUpperCase()} ${key.split(/[?#]/)[0]}`, facts);
    }
  }
  return out;
}

/** The servers of a document. */
function servers(root) {
  const url = (server) => String(server?.url ?? '').replace(/\/+$/, '').replace(/^\/\//, 'https://');
  return [...new Set((root.servers ?? []).map(url))].sort().join(' ');
}

/** Differences in which plugway is right: a pattern of the line, and why. */
const KNOWN = [
  [
    /: parameter header content-type: .* \| -$/,
    'OpenAPI 3 ignores header parameters of this name: the media type of the body says it',
  ],
  [
    /^POST \/build: body application\/x-tar: - \| binary$/,
    'that is what the parameter Content-type of this operation allows',
  ],
  [
    /: response \S+ \S+: any \| (?!-$)/,
    'a media type that only an example names has the schema of its response, not none',
  ],
];

const [original, converted, list] = process.argv.slice(2);
const options = { patch: true, warnOnly: true, resolve: true, source: original };
const theirs = (await s2o.convertFile(original, options)).openapi;
const ours = JSON.parse(fs.readFileSync(converted, 'utf8'));

const lines = [];
const published = ours.openapi !== '3.0.3';
if (!published && servers(theirs) !== servers(ours)) {
  lines.push(`servers: ${servers(theirs)} | ${servers(ours)}`);
}
const [left, right] = [calls(theirs), calls(ours)];
for (const key of new Set([...left.keys(), ...right.keys()])) {
  const [a, b] = [left.get(key), right.get(key)];
  if (!a || !b) {
    lines.push(`${key}: ${a ? 'only in swagger2openapi' : 'only in plugway'}`);
    continue;
  }
  for (const fact of new Set([...a.keys(), ...b.keys()])) {
    if (a.get(fact) !== b.get(fact)) lines.push(`${key}: ${fact}: ${a.get(fact) ?? '-'} | ${b.get(fact) ?? '-'}`);
  }
}
let bad = 0;
for (const line of lines) {
  const known = KNOWN.find(([pattern]) => pattern.test(line));
  if (!known) bad++;
  if (!known || list) console.log(known ? `known (${known[1]}): ${line}` : line);
}
console.log(`${original}: ${left.size} operations, ${lines.length - bad} known differences, ${bad} others`);
process.exitCode = bad ? 1 : 0;
