/**
 * Narrows values of unknown type: JSON of other programs, and errors.
 */

/** Whether the value is an object with properties to read: not null and not an array. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The code of a system call's error or of an error of Node.js, such as `ENOENT`; empty when the value has none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
