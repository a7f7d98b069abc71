/**
 * Building blocks for JSON Schema (2020-12). `object` lists the members of a type: a member that is added to the type
 * and not to the schema does not compile.
 */

/** Keywords of JSON Schema and their values. */
export type Schema = { readonly [keyword: string]: unknown };

/** The declared members of a type, without its index signature. */
type Members<T> = keyof { [K in keyof T as string extends K ? never : K]: T[K] };

export const textSchema: Schema = { type: 'string' };
export const numberSchema: Schema = { type: 'number' };
export const whole: Schema = { type: 'integer', minimum: 0 };
export const yes: Schema = { type: 'boolean' };
export const timeSchema: Schema = { type: 'string', format: 'date-time' };
export const shareSchema: Schema = { type: 'number', minimum: 0, maximum: 1 };
/** State of an override. */
export const forced = oneOf('up', 'down', 'drain');
/** Origin of an override or a weight. */
export const byWhom = oneOf('operator', 'schedule', 'node');

export function listSchema(items: Schema): Schema {
  return { type: 'array', items };
}

export function oneOf(...values: readonly string[]): Schema {
  return { type: 'string', enum: values };
}

export function orNull(schema: Schema): Schema {
  return { anyOf: [schema, { type: 'null' }] };
}

/** An object with all members of `T`. Members in `optional` may be missing. */
export function object<T>(
  properties: { readonly [K in Members<T>]-?: Schema },
  optional: readonly Members<T>[] = [],
): Schema {
  const missing: readonly unknown[] = optional;
  return { type: 'object', properties, required: Object.keys(properties).filter((name) => !missing.includes(name)) };
}
