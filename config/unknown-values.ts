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

/** The message of an error; any other value as text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The JSON object in UTF-8 that the octets contain; undefined for anything else. */
export function recordIn(octets: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString());
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
