/**
 * Random configurations of gdnsd 3.8 with all of its plug-ins, and the states of their addresses. Every address is that
 * of one resource only, so that a state belongs to one VIP.
 */
import type { Dice } from '../support/random.ts';

export type Estate = {
  /** The configuration, by its path below the folder; `FOLDER` stands for it. Without `options`. */
  readonly config: string;
  readonly zone: string;
  /** Names that gdnsd steers, relative to the zone, with the plug-in that does. */
  readonly steered: ReadonlyMap<string, string>;
  /** Names of the zone without records of their own, and their types. */
  readonly names: readonly string[];
  /** By address or name: whether it is up. Only of those that are monitored. */
  readonly states: ReadonlyMap<string, boolean>;
  /** Networks of clients that a map names. */
  readonly networks: readonly string[];
};

export const ZONE = 'example.com';

type Maker = {
  readonly dice: Dice;
  readonly states: Map<string, boolean>;
  next: number;
};

type Group = { readonly text: string; readonly hasNames?: boolean };

/** Lists of all countries would only repeat each other. */
const COUNTRIES: Readonly<Record<string, readonly string[]>> = {
  AF: ['ZA', 'EG', 'NG'],
  AS: ['KR', 'JP', 'IN', 'SG'],
  EU: ['DE', 'FR', 'IE', 'GB'],
  NA: ['US', 'CA', 'MX'],
  OC: ['AU', 'NZ'],
  SA: ['BR', 'CL'],
};
const TTLS = ['60', '300/30', '600', '3600/5'];

export function randomEstate(dice: Dice): Estate {
  const maker: Maker = { dice, states: new Map(), next: 1 };
  const plugins: string[] = [];
  const lines: string[] = [];
  const steered = new Map<string, string>();
  const add = (plugin: string, resource: string, hasNames = false): void => {
    const name = `${plugin}-${resource.replaceAll(/\W/g, '-')}`;
    steered.set(name, plugin);
    lines.push(`${name} ${dice.pick(TTLS)} ${hasNames ? 'DYNC' : 'DYNA'} ${plugin}!${resource}`);
    if (!hasNames && dice.chance(0.2)) lines.push(`${name} TXT "beside"`);
  };
  for (const [plugin, make, count] of PLAIN) {
    const resources = Array.from({ length: count }, (_, index) => [`r${index}`, make(maker)] as const);
    plugins.push(`  ${plugin} => {`, ...resources.map(([name, { text }]) => `    ${name} => ${text}`), '  }');
    for (const [name, { hasNames = false }] of resources) add(plugin, name, hasNames);
  }
  plugins.push('  null => {}', '  reflect => {}');
  add('null', 'any');
  for (const kind of ['dns', 'edns', 'best', 'both']) add('reflect', kind);
  const nested = metafo(maker, plugins, add);
  const networks = geoip(maker, plugins, add, nested);
  const names = staticRecords(lines);
  return {
    config: [
      'service_types => {',
      '  ext => { plugin => extfile, file => "FOLDER/states", direct => true }',
      '  other => { plugin => extfile, file => "FOLDER/states", direct => true }',
      '}',
      'plugins => {',
      ...plugins,
      '}',
      '',
    ].join('\n'),
    zone: `$TTL 300\n@ SOA ns1 hostmaster 7 7200 1800 1209600 60\n@ NS ns1\n${lines.join('\n')}\n`,
    steered,
    names,
    states: maker.states,
    networks,
  };
}

/** Plug-ins whose resources are addresses or names, and how many of each. */
const PLAIN: readonly (readonly [plugin: string, make: (maker: Maker) => Group, count: number])[] = [
  ['static', staticGroup, 4],
  ['simplefo', simplefoGroup, 6],
  ['multifo', multifoGroup, 6],
  ['weighted', weightedGroup, 6],
];

type Family = 'v4' | 'v6';

function address(maker: Maker, family: Family, number = maker.next++): string {
  return family === 'v4' ? `10.20.${number >> 8}.${number & 255}` : `2001:db8:20::${number.toString(16)}`;
}

/** Notes the state of a monitored address. */
function monitored(maker: Maker, text: string, isUp: boolean): string {
  maker.states.set(text, isUp);
  return text;
}

function families(dice: Dice): readonly Family[] {
  return dice.pick([['v4'], ['v4'], ['v6'], ['v4', 'v6']] as const);
}

/** `service_types` of a resource, and whether it is monitored. */
function serviceTypes({ dice }: Maker): { readonly text: string; readonly isMonitored: boolean } {
  const types = dice.pick(['ext', 'ext', '[ ext, other ]', 'up', '']);
  return { text: types === '' ? '' : `service_types => ${types}, `, isMonitored: /ext/.test(types) };
}

/** Labelled addresses: one line per family, or one family directly. */
function addresses(
  maker: Maker,
  labels: readonly string[],
  isMonitored: boolean,
  entry: (label: string, text: string) => string,
): string {
  const { dice } = maker;
  const used = families(dice);
  const made = labels.map((label) => ({ label, number: maker.next++, isUp: dice.chance(0.7) }));
  const listOf = (family: Family): string =>
    made
      .map(({ label, number, isUp }) => {
        const text = address(maker, family, number);
        if (isMonitored) monitored(maker, text, isUp);
        return entry(label, text);
      })
      .join(', ');
  const [only] = used;
  if (used.length === 1 && only && dice.chance(0.6)) return listOf(only);
  return used.map((family) => `addrs_${family} => { ${listOf(family)} }`).join(', ');
}

function staticGroup(maker: Maker): Group {
  const { dice } = maker;
  if (dice.chance(0.25)) return { text: `www${maker.next++}.elsewhere.test.`, hasNames: true };
  return { text: address(maker, dice.pick(['v4', 'v6'])) };
}

function simplefoGroup(maker: Maker): Group {
  const { text, isMonitored } = serviceTypes(maker);
  return {
    text: `{ ${text}${addresses(maker, ['primary', 'secondary'], isMonitored, (label, to) => `${label} => ${to}`)} }`,
  };
}

function labelsOf(dice: Dice, most: number): readonly string[] {
  return Array.from({ length: 1 + dice.below(most) }, (_, index) => `lb${index}`);
}

function threshold(dice: Dice): string {
  return dice.pick(['', '', 'up_thresh => 0.01, ', 'up_thresh => 0.3, ', 'up_thresh => 0.8, ', 'up_thresh => 1.0, ']);
}

function multifoGroup(maker: Maker): Group {
  const { dice } = maker;
  const { text, isMonitored } = serviceTypes(maker);
  const ignores = dice.chance(0.1) ? 'ignore_health => true, ' : '';
  const all = addresses(maker, labelsOf(dice, 5), isMonitored, (label, to) => `${label} => ${to}`);
  return { text: `{ ${text}${threshold(dice)}${ignores}${all} }` };
}

function weightedGroup(maker: Maker): Group {
  const { dice } = maker;
  const { text, isMonitored } = serviceTypes(maker);
  if (dice.chance(0.2)) {
    const names = labelsOf(dice, 3).map((label) => {
      const name = `${label}-${maker.next++}.elsewhere.test.`;
      if (isMonitored) monitored(maker, name, dice.chance(0.7));
      return `${label} => [ ${name}, ${1 + dice.below(9)} ]`;
    });
    return { text: `{ ${text}${threshold(dice)}${names.join(', ')} }`, hasNames: true };
  }
  const multi = dice.chance(0.2) ? 'multi => true, ' : '';
  const weights = new Map<string, number>();
  const weighed = (label: string, to: string): string => {
    if (!weights.has(label)) weights.set(label, 1 + dice.below(9));
    return `${label} => [ ${to}, ${weights.get(label) ?? 1} ]`;
  };
  if (dice.chance(0.15)) {
    const group = (name: string): string =>
      `${name} => { ${labelsOf(dice, 3)
        .map((label) => {
          const to = address(maker, 'v4');
          return weighed(`${name}${label}`, isMonitored ? monitored(maker, to, dice.chance(0.7)) : to);
        })
        .join(', ')} }`;
    return { text: `{ ${text}${threshold(dice)}${multi}${group('g1')}, ${group('g2')} }` };
  }
  return { text: `{ ${text}${threshold(dice)}${multi}${addresses(maker, labelsOf(dice, 4), isMonitored, weighed)} }` };
}

/** What a datacenter of a metaplugin has. `own`: it may have parameters of its own. */
function datacenter(maker: Maker, isMonitored: boolean): string {
  const { dice } = maker;
  const list = (count: number): readonly string[] =>
    Array.from({ length: count }, () => {
      const to = address(maker, 'v4');
      return isMonitored ? monitored(maker, to, dice.chance(0.6)) : to;
    });
  switch (dice.below(6)) {
    case 0:
      return `[ ${list(2 + dice.below(2)).join(', ')} ]`;
    case 1:
      return `{ ${threshold(dice)}${list(2)
        .map((to, index) => `lb${index} => ${to}`)
        .join(', ')} }`;
    case 2: {
      const [primary = '', secondary = ''] = list(2);
      return `{ plugin => simplefo, primary => ${primary}, secondary => ${secondary} }`;
    }
    case 3:
      return `{ plugin => weighted, ${list(3)
        .map((to, index) => `w${index} => [ ${to}, ${1 + dice.below(9)} ]`)
        .join(', ')} }`;
    default:
      return list(1)[0] ?? '';
  }
}

type Add = (plugin: string, resource: string, hasNames?: boolean) => void;

/** Returns the resources that answer with addresses alone. */
function metafo(maker: Maker, plugins: string[], add: Add): readonly string[] {
  const { dice } = maker;
  const plain: string[] = [];
  const resources = Array.from({ length: 5 }, (_, number) => {
    const { text, isMonitored } = serviceTypes(maker);
    const names = ['dc-a', 'dc-b', 'dc-c'].slice(0, 1 + dice.below(3));
    const hasLast = dice.chance(0.2);
    const dcs = names.map((name) => `${name} => ${datacenter(maker, isMonitored)}`);
    if (!hasLast) plain.push(`r${number}`);
    if (hasLast) dcs.push('dc-last => sorry.elsewhere.test.');
    const order = [...dice.sample(names, names.length), ...(hasLast ? ['dc-last'] : [])];
    add('metafo', `r${number}`, hasLast);
    if (dice.chance(0.3)) add('metafo', `r${number}/${names[0] ?? ''}`);
    return `    r${number} => { ${text}datacenters => [ ${order.join(', ')} ], dcmap => { ${dcs.join(', ')} } }`;
  });
  plugins.push('  metafo => { resources => {', ...resources, '  } }');
  return plain;
}

/** `nested`: resources of metafo, which some datacenters are. */
function geoip(maker: Maker, plugins: string[], add: Add, nested: readonly string[]): readonly string[] {
  const { dice } = maker;
  const datacenters = ['seoul', 'dublin', 'virginia'];
  const list = (): string => `[ ${dice.sample(datacenters, 1 + dice.below(3)).join(', ')} ]`;
  const networks = ['192.0.2.0/25', '198.51.100.0/24', '203.0.113.64/26', '2001:db8:77::/48'];
  const map = (): string => {
    const continents = dice.sample(Object.keys(COUNTRIES), 2 + dice.below(4)).map((continent) => {
      if (dice.chance(0.3)) return `${continent} => ${list()}`;
      const countries = dice
        .sample(COUNTRIES[continent] ?? [], 1 + dice.below(3))
        .map((each) => `${each} => ${list()}`);
      const rest = dice.chance(0.6) ? [`default => ${list()}`] : [];
      return `${continent} => { ${[...countries, ...rest].join(', ')} }`;
    });
    const rest = dice.chance(0.6) ? [`default => ${list()}`] : [];
    return `map => { ${[...continents, ...rest].join(', ')} }`;
  };
  const nets = (): string => {
    if (dice.chance(0.3)) return '';
    const some = dice.sample(networks, 1 + dice.below(networks.length)).map((each) => `${each} => ${list()}`);
    return `nets => { ${some.join(', ')} }, `;
  };
  const maps = Array.from({ length: 3 }, (_, number) => {
    const own = number === 0 ? '' : nets();
    return `    m${number} => { geoip2_db => "FOLDER/geo.mmdb", datacenters => [ ${datacenters.join(', ')} ], ${own}${map()} }`;
  });
  const resources = Array.from({ length: 6 }, (_, number) => {
    const { text, isMonitored } = serviceTypes(maker);
    const other = (): string | undefined => (nested.length > 0 && dice.chance(0.25) ? `%metafo!${dice.pick(nested)}` : undefined); // prettier-ignore
    const dcs = datacenters.map((name) => `${name} => ${other() ?? datacenter(maker, isMonitored)}`);
    add('geoip', `r${number}`);
    if (dice.chance(0.2)) add('geoip', `r${number}/dublin`);
    return `    r${number} => { map => m${dice.below(3)}, ${text}dcmap => { ${dcs.join(', ')} } }`;
  });
  plugins.push('  geoip => {', '  maps => {', ...maps, '  }', '  resources => {', ...resources, '  } }');
  return networks;
}

/** Records that gdnsd answers as any server does. Returns the names that have some. */
function staticRecords(lines: string[]): readonly string[] {
  lines.push(
    'ns1 A 192.0.2.53',
    'www A 192.0.2.80',
    'www A 192.0.2.81',
    'www AAAA 2001:db8::80',
    '@ MX 10 mail',
    '@ TXT "v=spf1 -all"',
    'mail 3600 A 192.0.2.25',
    '*.wild A 192.0.2.40',
    '*.wild TXT "wild"',
    'alias CNAME www',
    'out CNAME www.elsewhere.test.',
    'a.b.c A 192.0.2.41',
    '_sip._udp SRV 10 5 5060 mail',
    'sub NS ns.sub',
    'ns.sub A 192.0.2.60',
    'naptr NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .',
    'caa CAA 0 issue "ca.example.net"',
    'unknown TYPE65400 \\# 4 deadbeef',
  );
  return [
    '@',
    'ns1',
    'www',
    'mail',
    '*.wild',
    'alias',
    'out',
    'a.b.c',
    '_sip._udp',
    'sub',
    'ns.sub',
    'naptr',
    'caa',
    'unknown',
  ];
}
