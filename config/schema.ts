/**
 * JSON Schema (draft-07) of what readers accept, for editors. Each reader carries the schema of its values, so that the
 * table of a map's keys serves reader and schema alike.
 */

/** A schema, or true for any value. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** A reader's schema, if it has one. */
export type HasSchema = { readonly schema?: JsonSchema };

/** A YAML scalar: readers take its text, so that `1.10` and `yes` are texts where a text is wanted. */
export const SCALAR: JsonSchema = { type: ['string', 'number', 'boolean'] };

/** A scalar that is not empty. */
export const SOME_TEXT: JsonSchema = { type: ['string', 'number', 'boolean'], minLength: 1 };

/** A value that one of these allows. Alternatives that are the same are written once. */
export function anyOf(...schemas: readonly JsonSchema[]): JsonSchema {
  const each = [...new Map(schemas.map((schema) => [JSON.stringify(schema), schema])).values()];
  const [first = true] = each;
  return each.length === 1 ? first : { anyOf: each };
}

/** Text that matches a regular expression of JavaScript. */
export function pattern(expression: RegExp): JsonSchema {
  return { type: 'string', pattern: expression.source };
}

/**
 * A map with known keys. A key without a value is an empty map, so null is allowed unless a key is required. `others`:
 * more keys, by regular expressions.
 */
export function closedMap(
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[],
  others?: Readonly<Record<string, JsonSchema>>,
): JsonSchema {
  const keys = required.length === 0 ? {} : { required: [...required] };
  const type = required.length === 0 ? ['object', 'null'] : 'object';
  const more = others === undefined ? {} : { patternProperties: others };
  return { type, properties, ...more, ...keys, additionalProperties: false };
}

/** The same map with at least one key. */
export function notEmpty(schema: JsonSchema): JsonSchema {
  return { ...(schema as object), type: 'object', minProperties: 1 };
}

/** A map whose keys the operator chooses. */
export function openMap(value: JsonSchema, keys?: JsonSchema): JsonSchema {
  const names = keys === undefined ? {} : { propertyNames: keys };
  return { type: ['object', 'null'], ...names, additionalProperties: value };
}

/** A list, or a single value for a list of one. */
export function oneOrMore(item: JsonSchema, min: number, max: number): JsonSchema {
  const most = max === Infinity ? {} : { maxItems: max };
  return anyOf(item, { type: 'array', items: item, minItems: min, ...most });
}

/** The schema of a reader; throws for one that has none. */
export function schemaOf({ schema }: HasSchema, name: string): JsonSchema {
  if (schema === undefined) throw new TypeError(`the reader of ${name} has no schema`);
  return schema;
}

/**
 * Adds a schema to a reader that nothing else uses. A function is called only when the schema is needed, because most
 * readers are only used to read.
 */
export function described<R extends (...args: never[]) => unknown>(
  schema: JsonSchema | (() => JsonSchema | undefined),
  read: R,
): R & HasSchema {
  return Object.defineProperty(read, 'schema', { get: typeof schema === 'function' ? schema : () => schema });
}

/** The schema of a reader that accepts what another one does. */
export function like<R extends (...args: never[]) => unknown>(other: HasSchema, read: R): R & HasSchema {
  return described(() => other.schema, read);
}
