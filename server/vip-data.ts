/**
 * The data that a VIP has for an answer, in words. `has` is a HAS bit of its service (steering/plan.ts).
 */
import { HAS, otherType, type SteeringTables } from '../steering/plan.ts';
import { TYPE, typeText } from '../wire/types.ts';
import type { VipInfo } from '../zones/catalog.ts';

const TYPES: ReadonlyMap<number, number> = new Map([
  [HAS.A, TYPE.A],
  [HAS.AAAA, TYPE.AAAA],
  [HAS.CNAME, TYPE.CNAME],
  [HAS.SVCB, TYPE.HTTPS],
]);

/** The type of the records: `A`, `TXT`. */
export function typeOfBit(plan: SteeringTables, service: number, has: number): string {
  return typeText(TYPES.get(has) ?? otherType(plan, service, has));
}

/** An address, a name, or records in presentation format, or a service; undefined if the VIP does not have the type. */
export function vipData(plan: SteeringTables, vip: VipInfo, has: number): string | undefined {
  if (vip.inner !== undefined) return `service ${vip.inner}`;
  if (has === HAS.A) return vip.a;
  if (has === HAS.AAAA) return vip.aaaa;
  if (has === HAS.CNAME) return vip.cname;
  if (has === HAS.SVCB) return vip.svcb;
  const type = typeOfBit(plan, vip.service, has);
  return vip.records?.find((records) => records.type === type)?.data.join('; ');
}
