/**
 * Services in words, for `diff` and for the comments of `export`.
 */
import { traitsOf, type StepSpec, type StepText } from '../steering/steps.ts';
import { formatAddress } from '../wire/address.ts';
import { formatName } from '../wire/name.ts';
import { formatRdata } from '../wire/rdata.ts';
import { typeText } from '../wire/types.ts';
import type { ServiceModel, VipModel, WhenAllDown } from '../zones/read/model.ts';

export function ttlText({ ttl: { minSeconds, maxSeconds } }: ServiceModel): string {
  return minSeconds === maxSeconds ? `${minSeconds} s` : `${minSeconds} to ${maxSeconds} s`;
}

export function answersText({ answers, vips }: ServiceModel): string {
  return answers > vips.length ? 'all' : String(answers);
}

export function shedText({ shed }: ServiceModel): string {
  const percent = (share: number): string => `${Math.round(share * 1000) / 10}%`;
  return shed === undefined ? 'none' : `${percent(shed.low)} to ${percent(shed.high)}`;
}

export function downText(down: WhenAllDown): string {
  if (down.kind !== 'static') return down.kind;
  const fixed = [...down.a, ...down.aaaa, ...(down.cname ? [formatName(down.cname)] : [])].join(' ');
  return [...(fixed === '' ? [] : [fixed]), ...recordTexts(down)].join('; ');
}

/** `203.0.113.10 2001:db8::10; TXT "kr"`, or `service www-asia.example.com` */
export function dataText({ a, aaaa, cname, rrsets, inner }: VipModel): string {
  if (inner) return `service ${inner.name}`;
  const addresses = [a, aaaa].flatMap((address) => (address ? [formatAddress(address)] : [])).join(' ');
  const main = addresses + (cname ? formatName(cname) : '');
  return [...(main === '' ? [] : [main]), ...recordTexts({ rrsets })].join('; ');
}

function recordTexts({ rrsets = [] }: Pick<VipModel, 'rrsets'>): string[] {
  return rrsets.flatMap(({ type, rdata }) => rdata.map((data) => `${typeText(type)} ${formatRdata(type, data)}`));
}

export function probeText({ probe }: VipModel): string {
  if (!probe) return 'its address';
  if (probe.written !== undefined) return probe.written;
  return probe.port === undefined ? probe.host : `${probe.host}:${probe.port}`;
}

/** The options of a step. */
export function optionsText(step: StepSpec, { vips }: ServiceModel): StepText {
  return traitsOf(step).text(vips.map(({ name }) => name));
}
