/**
 * Names what is used in many places: schemas with an `$id`, and refusals, become components of the document.
 *
 * A schema stands in its routes as a whole, since validation and serialization know no other
 * document; here it is replaced by a reference. In between, its name is its `title`: an `$id` that
 * stands twice in one answer is an error of JSON Schema. A body that may be null is one that may be
 * left out.
 */
import { STATUS_CODES } from 'node:http';
import { PROBLEM_MEDIA_TYPE } from './schemas/problem.ts';

type Json = string | number | boolean | null | undefined | Json[] | { [name: string]: Json };
type JsonObject = { [name: string]: Json };

const isObject = (value: Json): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Schemas are constants, and most stand in many routes: each is copied once. */
const titled = new WeakMap<object, Json>();

/** A copy of schemas in which every `$id` is a `title`; what was given once before gives the same copy. */
export function withTitles<Schemas>(schemas: Schemas): Schemas {
  return copy(
    schemas as Json,
    (object) => {
      const { $id, ...rest } = object;
      return typeof $id === 'string' ? { title: $id, ...rest } : object;
    },
    titled,
  ) as Schemas;
}

/**
 * The document with its named schemas and refusals as components, sorted.
 *
 * @throws if two of them have the same name, and are not the same
 */
export function withComponents<Document extends object>(document: Document): Document {
  const { paths, components, ...rest } = document as unknown as JsonObject;
  const schemas = new Components('schemas');
  const responses = new Components('responses');

  const named = copy(paths, (object) => {
    const { title, ...schema } = object;
    return typeof title === 'string' ? schemas.refer(title, schema) : object;
  });
  const operations = copy(named, (object) => ({
    ...object,
    ...(isObject(object.requestBody) ? { requestBody: bodyOf(object.requestBody) } : {}),
    ...(isObject(object.responses) ? { responses: answersOf(object.responses, responses) } : {}),
  }));
  return {
    ...rest,
    paths: operations,
    components: {
      ...(isObject(components) ? components : {}),
      schemas: schemas.sorted(),
      responses: responses.sorted(),
    },
  } as unknown as Document;
}

class Components {
  readonly #kind: string;
  readonly #byName = new Map<string, Json>();

  constructor(kind: string) {
    this.#kind = kind;
  }

  refer(name: string, component: Json): JsonObject {
    const known = this.#byName.get(name);
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(component)) {
      throw new Error(`two ${this.#kind} are called ${name}`);
    }
    this.#byName.set(name, component);
    return { $ref: `#/components/${this.#kind}/${name}` };
  }

  sorted(): JsonObject {
    return Object.fromEntries([...this.#byName].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

const isNull = (schema: Json): boolean => isObject(schema) && schema.type === 'null';

function bodyOf(body: JsonObject): JsonObject {
  const content = copy(body.content, ({ schema, ...media }) => {
    if (!isObject(schema) || !Array.isArray(schema.anyOf) || !schema.anyOf.some(isNull))
      return { ...media, schema };
    const [given] = schema.anyOf.filter((alternative) => !isNull(alternative));
    return { ...media, schema: given };
  });
  return { ...body, required: JSON.stringify(content) === JSON.stringify(body.content), content };
}

const answersOf = (answers: JsonObject, components: Components): JsonObject =>
  Object.fromEntries(
    Object.entries(answers).map(([status, answer]) => {
      if (!isObject(answer)) return [status, answer];
      if (isRefusal(answer)) return [status, components.refer(`Refused${status}`, answer)];
      // What @fastify/swagger says of an answer that says nothing of itself.
      const isNameless = answer.description === 'Default Response';
      return [status, isNameless ? { ...answer, description: STATUS_CODES[status] } : answer];
    }),
  );

const isRefusal = (answer: Json): boolean =>
  JSON.stringify(answer).includes(
    `"${PROBLEM_MEDIA_TYPE}":{"schema":{"$ref":"#/components/schemas/Problem"}}`,
  );

/**
 * A deep copy, in which `change` has seen every object after its members.
 *
 * @param known copies of objects, of the same `change`: each object is copied once
 */
function copy(value: Json, change: (object: JsonObject) => Json, known = new WeakMap<object, Json>()): Json {
  if (Array.isArray(value)) return value.map((element) => copy(element, change, known));
  if (!isObject(value)) return value;
  const before = known.get(value);
  if (before !== undefined) return before;
  const members = Object.entries(value).map(([name, member]) => [name, copy(member, change, known)] as const);
  const changed = change(Object.fromEntries(members));
  known.set(value, changed);
  return changed;
}
