/**
 * The load keys of a service and its VIPs (docs/steering.md#load): `capacity` and `shed`.
 */
import { isPush, type CheckSpec } from '../../config/check-kinds.ts';
import type { Report } from '../../config/diagnostics.ts';
import { map, scalar, share, withDefault, type Read } from '../../config/fields.ts';
import { anyOf, like, pattern } from '../../config/schema.ts';
import { nodePlace, type YamlNode } from '../../config/yaml.ts';
import type { ShedMarks } from '../../health/target-names.ts';

/** In the unit of the check's load. */
export const capacity = scalar(
  'a number above 0',
  (value) => {
    const number = /^\d+(?:\.\d+)?$/.test(value) ? Number(value) : 0;
    return number > 0 && number <= Number.MAX_SAFE_INTEGER ? number : undefined;
  },
  {
    schema: anyOf({ type: 'number', exclusiveMinimum: 0 }, pattern(/^\d+(?:\.\d+)?$/)),
    code: 'PH224',
    hint: 'the load at which the VIP is full, in the unit of its check; default 1: load is a share',
  },
);

/** `{low, high}`: shares of the capacity. */
const readShed = map('shed', { low: withDefault(share(), 0.8), high: withDefault(share(), 0.95) });

export const shed: Read<ShedMarks> = like(readShed, (node: YamlNode, name: string, report: Report) => {
  const hint = 'write shed: { low: 80%, high: 95% }';
  const read = readShed(node, name, report);
  if (!read) return undefined;
  if (read.low < read.high) return read;
  report.error(
    'PH225',
    'low must be below high: between the two, clients are shed progressively',
    nodePlace(node, 0, 1),
    hint,
  );
  return undefined;
});

/** Warns of `shed` without a load and of `capacity` without `shed`: both have no effect. */
export function checkLoad(
  service: YamlNode,
  vips: YamlNode,
  checks: ReadonlySet<CheckSpec | undefined>,
  report: Report,
): void {
  const entry = service.kind === 'map' ? service.entries.find(({ key }) => key.text === 'shed') : undefined;
  if (entry) {
    if ([...checks].some((check) => check && saysLoad(check))) return;
    const hint = 'add load_path: load to its http check, or report the load to a push check';
    report.warning('PH226', 'shed has no effect: no check reports the load of the VIPs', nodePlace(entry.key), hint);
    return;
  }
  for (const vip of vips.kind === 'map' ? vips.entries : []) {
    const own = vip.value.kind === 'map' ? vip.value.entries.find(({ key }) => key.text === 'capacity') : undefined;
    if (!own) continue;
    const hint = 'add shed: { low: 80%, high: 95% } to the service, or remove the key';
    report.warning('PH226', 'capacity has no effect without shed', nodePlace(own.key), hint);
    return; // one warning per service
  }
}

function saysLoad(spec: CheckSpec): boolean {
  if ('members' in spec) return spec.members.some(saysLoad);
  return isPush(spec) || ('loadPath' in spec && spec.loadPath !== undefined);
}
