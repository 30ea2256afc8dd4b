// The API's own description (OpenAPI 3.1), read for people: calls by what they are about, types in words, examples.

export interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
}

interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  description?: string;
  schema: Schema;
}

interface Content {
  [mediaType: string]: { schema: Schema };
}

interface Response {
  description: string;
  content?: Content;
  headers?: Record<string, { description: string }>;
}

interface Operation {
  operationId: string;
  summary: string;
  description: string;
  tags: string[];
  parameters: Parameter[];
  requestBody?: { content: Content };
  responses: Record<string, Response>;
  'x-websocket'?: { fromClient: Schema[]; events: Schema };
}

export interface Description {
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
  'x-error-codes': Record<string, { status: number; detail: string }>;
}

export interface Call {
  id: string;
  /** As it is written: `GET`, and `SOCKET` for a WebSocket. */
  method: string;
  path: string;
  about: string;
  summary: string;
  /** The rest of the description, and who may. */
  notes: string[];
  parameters: Parameter[];
  body: Schema | null;
  /** What it answers when all goes well. */
  answer: { status: string; schema: Schema | null; mediaTypes: string[]; headers: [string, string][] };
  errors: { status: string; code: string; detail: string }[];
  /** What a WebSocket takes from the client. */
  messages: Schema[];
}

/** Without the marks of Markdown, of which these texts have only the one for code. */
const plain = (text: string): string => text.replaceAll('`', '');

const ERROR_LINE = /^`(\w+)`: (.*)$/;

/** Every call of the API, in the order of its description. */
export function callsOf(description: Description): Call[] {
  return Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => callOf(path, method, operation)),
  );
}

function callOf(path: string, method: string, operation: Operation): Call {
  const socket = operation['x-websocket'];
  const [status = '', answer] = Object.entries(operation.responses).find(([code]) => Number(code) < 400) ?? [];
  const contents = Object.entries(answer?.content ?? {});
  return {
    id: operation.operationId,
    method: socket ? 'SOCKET' : method.toUpperCase(),
    path,
    about: operation.tags[0] ?? '',
    summary: plain(operation.summary),
    notes: operation.description.split('\n\n').filter(Boolean).map(plain),
    parameters: operation.parameters,
    body: operation.requestBody?.content['application/json']?.schema ?? null,
    answer: {
      status,
      schema: contents[0]?.[1].schema ?? null,
      mediaTypes: contents.map(([mediaType]) => mediaType),
      headers: Object.entries(answer?.headers ?? {}).map(([name, header]) => [name, header.description]),
    },
    errors: Object.entries(operation.responses)
      .filter(([code]) => Number(code) >= 400)
      .flatMap(([code, response]) =>
        response.description.split('\n').flatMap((line) => {
          const [, name = '', detail = ''] = ERROR_LINE.exec(line) ?? [];
          return name ? [{ status: code, code: name, detail }] : [];
        }),
      ),
    messages: socket?.fromClient ?? [],
  };
}

/** Whether a call has every one of the words somewhere: in its path, names, description or errors. */
export function isFound(call: Call, words: string): boolean {
  const all = [
    `${call.method} ${call.path} ${call.about} ${call.summary} ${call.notes.join(' ')}`,
    ...call.parameters.map(({ name }) => name),
    ...call.errors.map(({ code }) => code),
  ]
    .join(' ')
    .toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf('/') + 1);

/** The schema itself, where another one only points to it. */
export function resolved(schema: Schema, description: Description): Schema {
  return schema.$ref ? (description.components.schemas[nameOf(schema.$ref)] ?? {}) : schema;
}

/** The fields of an object, of the objects in a list, or of what may also be null; none for anything else. */
export function fieldsOf(schema: Schema, description: Description): [string, Schema, boolean][] {
  const it = resolved(schema, description);
  if (it.properties)
    return Object.entries(it.properties).map(([name, of]) => [name, of, it.required?.includes(name) ?? false]);
  if (it.items) return fieldsOf(it.items, description);
  const objects = (it.anyOf ?? it.oneOf ?? []).filter((one) => one.type !== 'null');
  return objects.length === 1 && objects[0] ? fieldsOf(objects[0], description) : [];
}

/** A type in a few words: `text`, `"command" or "prompt"`, `list of TaskView`. */
export function typeWords(schema: Schema): string {
  if (schema.$ref) return nameOf(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' or ');
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(typeWords).join(' or ');
  if (Array.isArray(schema.type)) return schema.type.map((type) => typeWords({ ...schema, type })).join(' or ');
  switch (schema.type) {
    case 'string':
      return 'text';
    case 'integer':
      return 'whole number';
    case 'boolean':
      return 'true or false';
    case 'array':
      return schema.items ? `list of ${typeWords(schema.items)}` : 'list';
    case 'object':
      return typeof schema.additionalProperties === 'object'
        ? `names with ${typeWords(schema.additionalProperties)}`
        : 'object';
    default:
      return schema.type ?? 'any value';
  }
}

/** What bounds a value, in words. */
export function boundsOf(schema: Schema): string {
  const bounds: string[] = [];
  const [only, ...others] = (schema.anyOf ?? [schema]).filter((one) => one.type !== 'null');
  const { minimum, maximum, minLength, maxLength, maxItems } = (others.length === 0 && only) || schema;
  if (minimum !== undefined && maximum !== undefined) bounds.push(`${minimum} to ${maximum}`);
  else if (minimum !== undefined) bounds.push(`${minimum} or more`);
  else if (maximum !== undefined) bounds.push(`at most ${maximum}`);
  if (maxLength !== undefined) bounds.push(`${minLength ? `${minLength} to` : 'at most'} ${maxLength} characters`);
  if (maxItems !== undefined) bounds.push(`at most ${maxItems}`);
  const first = schema.default;
  if (first !== undefined && first !== null && JSON.stringify(first).length > 2) {
    bounds.push(`without it ${JSON.stringify(first)}`);
  }
  return bounds.join(', ');
}

/** A call as one types it. Names in angle brackets are to be filled in. */
export function curlOf(call: Call, description: Description, origin: string): string {
  const path = call.path.replace(/{(\w+)}/g, (_, name: string) => `<${name}>`);
  if (call.method === 'SOCKET') return `websocat -H "x-api-key: $KEY" ${origin.replace(/^http/, 'ws')}${path}`;
  const needed = call.parameters.filter(({ required, in: place }) => required && place === 'query');
  const query = needed.map(({ name }) => `${name}=<${name}>`).join('&');
  const parts = [`curl -s${call.answer.mediaTypes.includes('text/event-stream') ? 'N' : ''}`];
  if (call.method !== 'GET') parts.push(`-X ${call.method}`);
  parts.push(`'${origin}${path}${query ? `?${query}` : ''}'`);
  if (!call.notes.includes('Needs no key.')) parts.push('-H "x-api-key: $KEY"');
  if (call.body) {
    parts.push('-H "content-type: application/json"');
    const given = fieldsOf(call.body, description).filter(([, , isNeeded]) => isNeeded);
    parts.push(`-d '{${given.map(([name, of]) => `"${name}": ${exampleOf(of, name)}`).join(', ')}}'`);
  }
  return parts.join(' ');
}

function exampleOf(schema: Schema, name: string): string {
  if (schema.enum?.length) return JSON.stringify(schema.enum[0]);
  if (schema.type === 'boolean') return 'true';
  if (schema.type === 'integer' || schema.type === 'number') return String(schema.minimum ?? 1);
  if (schema.type === 'array') return '[…]';
  return schema.type === 'string' ? `"<${name}>"` : '{…}';
}
