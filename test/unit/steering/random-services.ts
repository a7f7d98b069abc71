/**
 * Random configurations: as files for the server, and as plain objects for the reference.
 */
import type { At } from '../../../config/settings.ts';
import { formatAddress, inPrefix, parsePrefix } from '../../../wire/address.ts';
import type { Prefix } from '../../../wire/address.ts';
import type { Dice } from '../../support/random.ts';
import type { DatabaseText } from '../geo/reference.ts';
import type { RefKey, RefMeasurement, RefRegion, RefService, RefStatic, RefStep, RefVip } from './reference.ts';

export const DATABASE: DatabaseText = [
  ['1.0.0.0/8', { country: { iso_code: 'KR' }, location: { latitude: 37.5, longitude: 127 } }],
  ['1.64.0.0/10', { country: { iso_code: 'JP' } }],
  ['2.0.0.0/7', { country: { iso_code: 'DE' }, autonomous_system_number: 64_500 }],
  [
    '8.0.0.0/7',
    { country: { iso_code: 'US' }, subdivisions: [{ iso_code: 'CA' }], location: { latitude: 36, longitude: -119 } },
  ],
  [
    '8.128.0.0/9',
    { country: { iso_code: 'US' }, subdivisions: [{ iso_code: 'VA' }], autonomous_system_number: 64_501 },
  ],
  [
    '8.64.0.0/10',
    { country: { iso_code: 'US' }, subdivisions: [{ iso_code: 'CA' }], city: { names: { en: 'Los Ángeles' } } },
  ],
  ['1.32.0.0/11', { country: { iso_code: 'KR' }, city: { names: { en: 'Seoul' } } }],
  ['22.0.0.0/8', { country: { iso_code: 'EU' }, continent: { code: 'EU' } }],
  ['22.128.0.0/9', { country: { iso_code: 'AP' } }],
  ['20.0.0.0/8', { continent: { code: 'SA' } }],
  ['21.0.0.0/8', { autonomous_system_number: 64_501 }],
  ['2001:200::/23', { country: { iso_code: 'JP' } }],
  ['2a00::/16', { country: { iso_code: 'IE' }, autonomous_system_number: 64_500 }],
];
/** The operator's own networks, with their places. */
const OWN: readonly (readonly [network: string, at: string, parsed: At])[] = [
  ['1.0.0.0/12', 'IE', { kind: 'country', country: 'IE' }],
  ['30.0.0.0/9', '"37.57,126.98"', { kind: 'point', latitude: 37.57, longitude: 126.98 }],
  ['2c00::/17', 'US', { kind: 'country', country: 'US' }],
];
export const OWN_NETWORKS: readonly Prefix[] = OWN.flatMap(([network]) => parsePrefix(network) ?? []);
export const OWN_PLACES: ReadonlyMap<number, At> = new Map(OWN.map(([, , at], index) => [index, at]));

const CLIENTS = [
  '1.0.0.0/9',
  '1.64.0.0/11',
  '2.0.0.0/8',
  '8.0.0.0/9',
  '8.128.0.0/9',
  '20.0.0.0/8',
  '21.0.0.0/8',
  '22.0.0.0/8',
  '30.0.0.0/8',
  '2001:200::/24',
  '2a00::/16',
  '2c00::/16',
];
const REGION_NAMES = ['seoul', 'tokyo', 'dublin', 'virginia', 'nowhere', 'spare'];
const KEYS = [
  'KR',
  'JP',
  'DE',
  'US',
  'IE',
  'US-CA',
  'US-VA',
  'US-CA/Los Ángeles',
  'US/Los Ángeles',
  'KR/Seoul',
  'EU',
  'AP',
  'AS64500',
  'AS64501',
  'asia',
  'europe',
  'north-america',
  'south-america',
  'default',
  '1.0.0.0/16',
  '1.0.0.0/10',
  '8.0.0.0/7',
  '2001:200::/32',
  '2a00::/17',
  '0.0.0.0/0',
];

/** Networks that geo maps and latency tables may name. */
export const NETWORKS: readonly string[] = KEYS.filter((key) => parsePrefix(key));

export type RandomWorld = {
  readonly files: Readonly<Record<string, string>>;
  readonly regions: Readonly<Record<string, RefRegion>>;
  readonly services: readonly { readonly name: string; readonly model: RefService }[];
};

export function randomClient(dice: Dice): Uint8Array {
  const network = parsePrefix(dice.pick(CLIENTS));
  if (!network) throw new Error('no network');
  return network.bytes.map((octet, at) => (at * 8 >= network.bits ? dice.below(256) : octet));
}

/** `nests`: the chance that a VIP is one of the services before. */
export function randomWorld(dice: Dice, serviceCount: number, nests = 0): RandomWorld {
  const points: Readonly<Record<string, { latitude: number; longitude: number } | undefined>> = {
    seoul: { latitude: 37.57, longitude: 126.98 },
    tokyo: { latitude: 35.68, longitude: 139.69 },
    dublin: { latitude: 53.35, longitude: -6.26 },
    virginia: { latitude: 38.95, longitude: -77.45 },
  };
  const regions = Object.fromEntries(
    REGION_NAMES.map((name): [string, RefRegion] => [
      name,
      { point: points[name], minHealthy: dice.pick([0, 0, 0, 0.5, 0.34, 1]) },
    ]),
  );
  const regionYaml = Object.entries(regions).map(([name, { point, minHealthy }]) => {
    const at = point ? `at: "${point.latitude},${point.longitude}", ` : '';
    return `  ${name}: { ${at}min_healthy: ${minHealthy * 100}% }`;
  });
  const tables = [0, 1].map(() => randomTable(dice));
  const services: ReturnType<typeof randomService>[] = [];
  for (let number = 0; number < serviceCount; number++) services.push(randomService(dice, number, tables, services, nests)); // prettier-ignore
  return {
    files: {
      'pharos.yaml': [
        `geo: { databases: [place.mmdb], networks: { ${OWN.map(([network, at]) => `"${network}": ${at}`).join(', ')} } }`,
        'regions:',
        ...regionYaml,
        '',
      ].join('\n'),
      'zones/example.com.yaml': [
        'zone: example.com',
        'nameservers: [ns.example.net.]',
        'services:',
        ...services.map(({ yaml }) => yaml),
        '',
      ].join('\n'),
      ...Object.fromEntries(tables.map(({ csv }, index) => [`zones/rtt${index}.csv`, csv])),
    },
    regions,
    services: services.map(({ name, model }) => ({ name, model })),
  };
}

function refKey(text: string): RefKey {
  if (text === 'default') return { kind: 'default' };
  const prefix = parsePrefix(text);
  if (prefix) return { kind: 'network', bits: prefix.bits, contains: (client) => inPrefix(client, prefix) };
  if (/^AS\d/.test(text)) return { kind: 'asn', value: text };
  const [, place, name = ''] = /^(..(?:-..)?)\/(.*)$/.exec(text) ?? [];
  if (place !== undefined) return { kind: 'city', in: place, name };
  if (text === 'EU' || text === 'AP') return { kind: 'area', value: text };
  if (/^[A-Z]{2}-/.test(text)) return { kind: 'subdivision', value: text };
  return /^[A-Z]{2}$/.test(text) ? { kind: 'country', value: text } : { kind: 'continent', value: text };
}

type Table = { readonly csv: string; readonly rows: readonly RefMeasurement[] };

function randomTable(dice: Dice): Table {
  const keys = dice.sample(
    KEYS.filter((key) => !/^[a-z]|-|^EU|^AP|^KR\/|^US\//.test(key)),
    6,
  );
  const lines: string[] = [];
  const rows = keys.flatMap((text) => {
    const key = refKey(text);
    if (key.kind === 'default') return [];
    return dice.sample(REGION_NAMES, 1 + dice.below(3)).map((region): RefMeasurement => {
      const ms = dice.below(40) * 5;
      lines.push(`${text},${region},${ms}`);
      return { key, region, ms };
    });
  });
  return { csv: ['network,region,ms', ...lines, ''].join('\n'), rows };
}

function randomService(
  dice: Dice,
  number: number,
  tables: readonly Table[],
  earlier: RandomWorld['services'],
  nests: number,
): { name: string; yaml: string; model: RefService } {
  const name = `s${number}`;
  const count = 1 + dice.below(7);
  const used = dice.sample(REGION_NAMES, 1 + dice.below(4));
  const byName = dice.chance(0.15);
  const hasOthers = dice.chance(0.5);
  const alike = earlier.filter(({ model }) => (model.vips[0]?.cname !== undefined) === byName);
  const vips = Array.from({ length: count }, (_, index): RefVip => {
    const region = dice.chance(0.1) ? undefined : dice.pick(used);
    const none = { a: undefined, aaaa: undefined, cname: undefined, txt: undefined, mx: undefined };
    if (nests > 0 && alike.length > 0 && dice.chance(nests)) {
      const inner = dice.pick(alike);
      return { name: `v${index}`, region, inner: inner.name, ...typesOf(inner.model) };
    }
    if (byName) return { ...none, name: `v${index}`, region, cname: `v${index}.example.net.` };
    const both = dice.chance(0.5);
    const a = both || dice.chance(0.7) ? `203.0.${100 + number}.${index + 1}` : undefined;
    const txt = hasOthers && dice.chance(0.6) ? dice.pick([`t${index}`, `t${index}+more${index}`]) : undefined;
    const mx = hasOthers && dice.chance(0.5) ? `10 m${index}.example.net.` : undefined;
    const isBare = (txt ?? mx) !== undefined && dice.chance(0.3);
    if (isBare) return { ...none, name: `v${index}`, region, txt, mx };
    const aaaa = both || a === undefined ? `2001:db8:${number + 1}::${(index + 1).toString(16)}` : undefined;
    return { ...none, name: `v${index}`, region, a, aaaa, txt, mx };
  });
  // Without any, it is [nearest, weighted].
  const isDefault = dice.chance(0.05);
  const steps = isDefault ? DEFAULT : Array.from({ length: 1 + dice.below(3) }, () => randomStep(dice, vips, tables));
  const hasAll = steps.some(({ model }) => model.kind === 'all');
  const stated = dice.chance(0.5) ? dice.pick([1, 2, 3, 4, 5, 6, 7, 8, 'all'] as const) : undefined;
  const min = 1 + dice.below(30);
  const max = min + (dice.chance(0.5) ? 0 : dice.below(60));
  const hasType = (type: 'a' | 'aaaa' | 'cname' | 'txt'): boolean => vips.some((vip) => vip[type] !== undefined);
  const isBare = !hasType('a') && !hasType('aaaa') && !hasType('cname');
  const statics = [...STATICS, ...TXT_STATICS].filter(
    ({ a, aaaa, txt }) => (txt === undefined || hasType('txt')) && !(isBare && (a ?? aaaa) !== undefined),
  );
  const whenAllDown = dice.pick<RefService['whenAllDown']>(['serve_all', 'serve_all', 'none', dice.pick(statics)]);
  const sheds = dice.chance(0.4);
  const partial: RefService['partial'] = dice.chance(0.25) ? 'serve_all' : 'serve_up';
  const vipYaml = vips.map(({ name: vip, region, inner, ...data }) => {
    const own = inner === undefined ? dataYaml(data) : [`service: ${inner}`];
    return `      ${vip}: { ${[region && `region: ${region}`, ...own].filter(Boolean).join(', ')} }`;
  });
  const yaml = [
    `  ${name}:`,
    `    ttl: ${min === max ? min : `{ min: ${min}, max: ${max} }`}`,
    '    vips:',
    ...vipYaml,
    ...(isDefault ? [] : ['    steer:', ...steps.map((step) => `      - ${step.yaml}`)]),
    ...(stated === undefined ? [] : [`    answers: ${stated}`]),
    ...(partial === 'serve_up' && dice.chance(0.9) ? [] : [`    partial: ${partial}`]),
    ...(sheds ? ['    shed: { low: 80%, high: 95% }'] : []),
    `    when_all_down: ${typeof whenAllDown === 'string' ? whenAllDown : `{ ${dataYaml(whenAllDown).join(', ')} }`}`,
  ].join('\n');
  const model = {
    vips,
    steps: steps.map((step) => step.model),
    answers: stated === 'all' ? 256 : (stated ?? (hasAll ? 256 : 1)),
    sheds,
    partial,
    ttl: { min, max },
    whenAllDown,
  };
  return { name, yaml, model };
}

const DEFAULT: readonly { readonly yaml: string; readonly model: RefStep }[] = [
  { yaml: 'nearest', model: { kind: 'nearest', bias: {}, withinKm: 0 } },
  { yaml: 'weighted', model: { kind: 'weighted' } },
];

const NO_DATA: RefStatic = { a: undefined, aaaa: undefined, cname: undefined, txt: undefined, mx: undefined };
const STATICS: readonly RefStatic[] = [
  { ...NO_DATA, a: '192.0.2.99' },
  { ...NO_DATA, a: '192.0.2.99', aaaa: '2001:db8::99' },
  { ...NO_DATA, aaaa: '2001:db8::99' },
  { ...NO_DATA, cname: 'sorry.example.net.' },
];
const TXT_STATICS: readonly RefStatic[] = [
  { ...NO_DATA, txt: 'sorry' },
  { ...NO_DATA, a: '192.0.2.99', txt: 'sorry' },
];

/** Which types a service has, as data. */
function typesOf({ vips }: RefService): RefStatic {
  const has = (type: keyof RefStatic): string | undefined =>
    vips.some((vip) => vip[type] !== undefined) ? 'inner' : undefined;
  return { a: has('a'), aaaa: has('aaaa'), cname: has('cname'), txt: has('txt'), mx: has('mx') };
}

function dataYaml({ a, aaaa, cname, txt, mx }: RefStatic): string[] {
  const others = [txt && `TXT: [${txt.split('+').join(', ')}]`, mx && `MX: ${mx}`];
  const fields = [a && `A: ${a}`, aaaa && `AAAA: "${aaaa}"`, cname && `CNAME: ${cname}`, ...others];
  return fields.filter((field) => field !== undefined);
}

function randomStep(dice: Dice, vips: readonly RefVip[], tables: readonly Table[]): { yaml: string; model: RefStep } {
  const kind = dice.pick(['geo', 'geo', 'nearest', 'latency', 'failover', 'weighted', 'sticky', 'all'] as const);
  switch (kind) {
    case 'geo': {
      const fence = dice.chance(0.3);
      const map = dice
        .sample(KEYS, 1 + dice.below(8))
        .map((text) => ({
          text,
          key: refKey(text),
          regions: dice.chance(0.12) ? [] : dice.sample(REGION_NAMES, 1 + dice.below(3)),
        }))
        .map((entry) =>
          entry.regions.length > 0 && dice.chance(0.2)
            ? { ...entry, ttl: dice.chance(0.3) ? 0 : 100 + dice.below(90) }
            : entry,
        );
      // Upper or lower case, quoted or not.
      const entries = map.map(({ text, regions, ...more }) => {
        const list = regions.length === 0 && dice.chance(0.5) ? 'none' : `[${regions.join(', ')}]`;
        const target = 'ttl' in more ? `{ to: ${list}, ttl: ${more.ttl} }` : list;
        const written = text !== 'default' && dice.chance(0.3) ? text.toLowerCase() : text;
        return `${text.includes(':') || dice.chance(0.5) ? `"${written}"` : written}: ${target}`;
      });
      return {
        yaml: `geo: { ${[...entries, ...(fence ? ['fence: true'] : [])].join(', ')} }`,
        model: { kind, map, fence },
      };
    }
    case 'nearest': {
      const bias = Object.fromEntries(
        dice.sample(REGION_NAMES, dice.below(3)).map((region) => [region, dice.below(199) - 99]),
      );
      const withinKm = dice.pick([0, 300, 2000, 9000]);
      const biases = Object.entries(bias).map(([region, points]) => `${region}: ${points}`);
      return {
        yaml: `nearest: { bias: { ${biases.join(', ')} }, within: ${withinKm}km }`,
        model: { kind, bias, withinKm },
      };
    }
    case 'latency': {
      const number = dice.below(tables.length);
      const withinMs = dice.pick([0, 10, 50]);
      return {
        yaml: `latency: { table: rtt${number}.csv, within: ${withinMs}ms }`,
        model: { kind, table: tables[number]?.rows ?? [], withinMs },
      };
    }
    case 'failover': {
      const order = dice.sample([...REGION_NAMES, ...vips.map(({ name }) => name)], 1 + dice.below(5));
      return { yaml: `failover: [${order.join(', ')}]`, model: { kind, order } };
    }
    case 'sticky': {
      if (dice.chance(0.5)) return { yaml: 'sticky', model: { kind, v4Bits: 24, v6Bits: 56 } };
      const [v4Bits, v6Bits] = [dice.below(33), dice.below(129)];
      return { yaml: `sticky: { v4: ${v4Bits}, v6: ${v6Bits} }`, model: { kind, v4Bits, v6Bits } };
    }
    case 'weighted':
    case 'all':
      return { yaml: kind, model: { kind } };
  }
}

/** For messages of tests. */
export function clientText(address: Uint8Array): string {
  return formatAddress(address);
}
