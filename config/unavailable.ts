/**
 * What the reference describes and this version does not do yet. Accepting such a key and doing nothing
 * would be worse than an error. A later version that has the function deletes its line.
 */
import type { Place, Report } from './diagnostics.ts';

/** Keys by the map they stand in, a dot and the key; `unless 0` where 0 means "off" and is fine. */
const UNAVAILABLE: ReadonlyMap<string, 'always' | 'unless 0'> = new Map([
  ['dns.cookie_secrets', 'always'],
  ['limits.rrl', 'unless 0'],
  ['log.queries', 'unless 0'],
  ['service.ramp', 'always'],
  ['service.shed', 'always'],
  ['vip.capacity', 'always'],
]);

/** Reports a key that this version has not; true when it did, and the key is then not to be read. */
export function reportUnavailable(report: Report, map: string, key: string, place: Place, value?: unknown): boolean {
  const when = UNAVAILABLE.get(`${map}.${key}`);
  if (when === undefined || (when === 'unless 0' && (value === undefined || value === 0))) return false;
  const what = map === 'pharos.yaml' || map === 'service' || map === 'vip' ? key : `${map}.${key}`;
  const hint = when === 'always' ? 'remove the key' : 'remove the key, or set it to 0';
  report.error('PH090', `${what} is not available in this version`, place, hint);
  return true;
}
