/**
 * Services that are VIPs of other services (docs/configuration.md#services): finds them, and judges what they lead to.
 */
import type { Place, Report } from '../../config/diagnostics.ts';
import { nearestHint } from '../../config/nearest-word.ts';
import { nodePlace, type YamlEntry, type YamlNode, type YamlScalar } from '../../config/yaml.ts';
import { MAX_INNER_DEPTH, MAX_INNER_SERVICES, MAX_INNER_VIPS } from '../../wire/limits.ts';
import { NameError, nameKey, parseName, type Name } from '../../wire/name.ts';
import { hasData, innerServices, type ServiceModel, type VipModel } from './model.ts';
import { readName } from './read-records.ts';

type Context = { readonly apex: Name; readonly report: Report };

/** A longer chain of services is not read to its end. */
const MOST_BEING_READ = 4 * MAX_INNER_DEPTH;

/** Finds the service that a VIP leads to, and reads it first. `way`: the keys of the services that are being read. */
export function serviceFinder(
  services: YamlNode,
  { apex, report }: Context,
  way: readonly YamlScalar[],
  read: (entry: YamlEntry) => ServiceModel | undefined,
): (at: YamlScalar) => ServiceModel | undefined {
  const entries = services.kind === 'map' ? services.entries : [];
  let entryAt: ReadonlyMap<string, YamlEntry> | undefined;
  return (at) => {
    entryAt ??= new Map(entries.flatMap((entry) => keyOf(entry, apex).map((key) => [key, entry] as const)));
    const name = readName(at, apex, 'PH250', report);
    if (!name) return undefined;
    const entry = entryAt.get(nameKey(name));
    if (!entry) {
      const message = `unknown service "${at.text}": a VIP can be a service of the same zone`;
      const names = entries.map(({ key }) => key.text);
      report.error('PH250', message, nodePlace(at), nearestHint(at.text, names));
      return undefined;
    }
    if (way.includes(entry.key)) {
      const circle = [...way.slice(way.indexOf(entry.key)), entry.key].map(({ text }) => text).join(' -> ');
      const message = `the service ${entry.key.text} leads back to itself: ${circle}`;
      report.error('PH251', message, nodePlace(at), 'lead the VIP to another service');
      return undefined;
    }
    if (way.length > MOST_BEING_READ) {
      const first = way[0]?.text ?? '';
      reportDepth(first, `more than ${MOST_BEING_READ}`, nodePlace(at), report);
      return undefined;
    }
    return read(entry);
  };
}

function keyOf({ key }: YamlEntry, apex: Name): string[] {
  try {
    return [nameKey(parseName(key.text, apex))];
  } catch (error) {
    if (error instanceof NameError) return [];
    throw error;
  }
}

function reportDepth(service: string, depth: number | string, place: Place, report: Report): void {
  const message = `${service} leads over ${depth} services to the records; at most ${MAX_INNER_DEPTH} may be on the way`;
  report.error('PH252', message, place, 'lead the VIP to a service nearer to the records');
}

/**
 * Reports VIPs that lead to too many services, and HTTPS records that only some of the VIPs have. `svcb`: the rule by
 * which the service makes them, and its place.
 */
export function judgeInner(
  service: string,
  vips: readonly Pick<VipModel, 'name' | 'inner' | 'place'>[],
  svcb: Place | undefined,
  report: Report,
): void {
  const nested = vips.filter(({ inner }) => inner);
  const [first] = nested;
  if (!first) return;
  const { depth, cost } = extentOf(vips);
  if (depth > MAX_INNER_DEPTH) {
    const deepest = nested.find(({ inner }) => inner && depthBelow(inner) === depth - 1) ?? first;
    reportDepth(service, depth, deepest.place, report);
  }
  const reached = innerServices({ vips }).length;
  const tooMany = reached > MAX_INNER_SERVICES ? `${reached} services; at most ${MAX_INNER_SERVICES}` : cost > MAX_INNER_VIPS ? `${cost} VIPs, counted on each way; at most ${MAX_INNER_VIPS}` : undefined; // prettier-ignore
  if (tooMany !== undefined) {
    report.error('PH252', `the VIPs of ${service} lead to ${tooMany} are allowed`, first.place, 'split the service');
  }
  const isPlain = vips.some(({ inner }) => !inner);
  const makes = isPlain ? svcb !== undefined : hasSvcb(first);
  const odd = nested.find((vip) => hasSvcb(vip) !== makes);
  if (odd) {
    const [own, others] = makes ? ['no', 'have them'] : ['', 'have none'];
    const message = `VIP ${odd.name} leads to ${own === '' ? '' : `${own} `}HTTPS records made by svcb, and other VIPs of ${service} ${others}`;
    report.error('PH239', message, odd.place, 'give svcb to all of these services, or to none');
  } else if (svcb && !isPlain) {
    const message = `svcb of ${service} has no effect: every VIP is a service`;
    report.error('PH239', message, svcb, 'remove it: svcb of these services counts');
  }
}

function hasSvcb({ inner }: Pick<VipModel, 'inner'>): boolean {
  return inner?.vips.some((vip) => hasData(vip, 'svcb')) === true;
}

/** The services on the longest way to records, and the VIPs on all ways. */
type Extent = { readonly depth: number; readonly cost: number };

const extents = new WeakMap<ServiceModel, Extent>();

function extentOf(vips: readonly Pick<VipModel, 'inner'>[]): Extent {
  let [depth, cost] = [0, 0];
  for (const { inner } of vips) {
    cost++;
    if (!inner) continue;
    const known = extents.get(inner) ?? extentOf(inner.vips);
    extents.set(inner, known);
    depth = Math.max(depth, 1 + known.depth);
    cost += known.cost;
  }
  return { depth, cost };
}

function depthBelow(service: ServiceModel): number {
  return extentOf(service.vips).depth;
}

/** Whether a service leads to more than is allowed, which has been reported. */
export function isTooLarge({ vips }: ServiceModel): boolean {
  const { depth, cost } = extentOf(vips);
  const isNested = depth > 0;
  return isNested && (depth > MAX_INNER_DEPTH || cost > MAX_INNER_VIPS || innerServices({ vips }).length > MAX_INNER_SERVICES); // prettier-ignore
}

/** Warns of a check that no VIP uses. */
export function warnIdleCheck(
  service: string,
  vips: readonly Pick<VipModel, 'inner'>[],
  check: YamlNode | undefined,
  report: Report,
): void {
  if (!check || vips.some(({ inner }) => !inner)) return;
  const message = `the check of ${service} has no effect: every VIP is a service, whose VIPs have their own`;
  report.warning('PH254', message, nodePlace(check, 0, 1), 'remove it');
}
