/**
 * The load that a target reports in the body of its health check (SPEC 4). Pure.
 */

/** The number at the path of a JSON body, not below 0; or in words why there is none. */
export function loadOf(body: Buffer, complete: boolean, path: string): number | string {
  if (!complete) return 'the body is longer than 64 KiB';
  let found: unknown;
  try {
    found = JSON.parse(body.toString('utf8'));
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
