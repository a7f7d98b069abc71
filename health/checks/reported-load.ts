/**
 * The load that a target reports in the body of its health check (docs/steering.md#load). Pure.
 */

/**
 * The number at the path in a JSON body, at least 0; or the reason why there is none. `coding`: its Content-Encoding.
 */
export function loadOf(body: Buffer, complete: boolean, path: string, coding?: string): number | string {
  if (coding !== undefined) return `the body is compressed (Content-Encoding: ${coding})`;
  if (!complete) return 'the body is longer than 64 KiB';
  let found: unknown;
  try {
    // RFC 8259 8.1: a parser may ignore a byte order mark, which some servers add.
    found = JSON.parse(textOf(body));
  } catch {
    return 'the body is not JSON';
  }
  for (const key of path.split('.')) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return `nothing at ${path}`;
    found = (found as Readonly<Record<string, unknown>>)[key];
  }
  if (typeof found !== 'number' || !Number.isFinite(found)) return `no number at ${path}`;
  return found < 0 ? `a number below 0 at ${path}` : found;
}

/** The text of a body in UTF-8, or in UTF-16 where a byte order mark says so; without the mark. */
function textOf(body: Buffer): string {
  const [first, second] = body;
  const encoding =
    first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
  return new TextDecoder(encoding).decode(body);
}
