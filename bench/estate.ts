/**
 * Writes a gdnsd estate like a large public one: zones of very different sizes, steered names that share a few
 * resources, and maps with many keys. The same seed writes the same files.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDice, type Dice } from '../test/support/random.ts';

export type EstateSize = {
  readonly zones: number;
  readonly records: number;
  readonly steered: number;
  /** Lines of maps in all. */
  readonly mapLines: number;
};

/** The estate of docs/import.md. */
export const WHOLE_ESTATE: EstateSize = { zones: 795, records: 628_640, steered: 854, mapLines: 1105 };

const DATACENTERS = ['eqiad', 'codfw', 'esams', 'ulsfo', 'eqsin', 'drmrs'];
const PLACES: readonly (readonly [continent: string, countries: string])[] = [
  [
    'AF',
    'DZ AO BJ BW BF BI CM CV CF TD KM CG CD CI DJ EG GQ ER ET GA GM GH GN GW KE LS LR LY MG MW ML MR MU MA MZ NA NE NG',
  ],
  [
    'AS',
    'AE AF AM AZ BD BH BN BT CN CY GE HK ID IL IN IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY NP OM PH PK',
  ],
  [
    'EU',
    'AD AL AT BA BE BG BY CH CZ DE DK EE ES FI FR GB GR HR HU IE IS IT LI LT LU LV MC MD ME MK MT NL NO PL PT RO RS',
  ],
  ['NA', 'AG BB BS BZ CA CR CU DM DO GD GT HN HT JM KN LC MX NI PA SV TT US VC'],
  ['OC', 'AU FJ FM KI MH NR NZ PG PW SB TO TV VU WS'],
  ['SA', 'AR BO BR CL CO EC GY PE PY SR UY VE'],
];
const MAPS = 3;
const RESOURCES = 12;

export function writeEstate(folder: string, size: EstateSize, seed: number): void {
  const dice = createDice(seed);
  mkdirSync(join(folder, 'zones'), { recursive: true });
  writeFileSync(join(folder, 'config'), configText(dice, size.mapLines));
  const weights = Array.from({ length: size.zones }, (_, zone) => 1 / (zone + 20));
  const sum = weights.reduce((total, each) => total + each, 0);
  for (let zone = 0; zone < size.zones; zone++) {
    const records = Math.max(3, Math.round(((weights[zone] ?? 0) / sum) * size.records));
    const steered =
      Math.floor(((zone + 1) * size.steered) / size.zones) - Math.floor((zone * size.steered) / size.zones);
    writeFileSync(join(folder, 'zones', `zone-${zone}.example`), zoneText(dice, records, steered));
  }
}

function configText(dice: Dice, lines: number): string {
  const order = (): string => `[${dice.sample(DATACENTERS, DATACENTERS.length).join(', ')}]`;
  const maps = Array.from({ length: MAPS }, (_, map) => {
    const own = Math.floor(lines / MAPS);
    const places = PLACES.map(([continent, countries]) => {
      const each = countries.split(' ').map((country) => `          ${country} => ${order()}`);
      return `        ${continent} => {\n          default => ${order()}\n${each.join('\n')}\n        }`;
    });
    const used = places.join('\n').split('\n').length;
    const nets = Array.from(
      { length: Math.max(0, own - used) },
      (_unused, net) => `        10.${map}.${net % 256}.0/24 => [${dice.pick(DATACENTERS)}]`,
    );
    return `      map-${map} => {\n        datacenters => [${DATACENTERS.join(', ')}]\n        nets => {\n${nets.join('\n')}\n        }\n        map => {\n${places.join('\n')}\n        }\n      }`;
  });
  const resources = Array.from({ length: RESOURCES }, (_, resource) => {
    const sites = DATACENTERS.map((name, site) => `        ${name} => 198.51.${100 + resource}.${site + 1}`);
    return `      site-${resource} => {\n        map => map-${resource % MAPS}\n        service_types => web\n        dcmap => {\n${sites.join('\n')}\n        }\n      }`;
  });
  return `options => { zones_default_ttl => 3600 }
service_types => { web => { plugin => http_status, port => 80, url_path => /check, interval => 10 } }
plugins => {
  geoip => {
    maps => {
${maps.join('\n')}
    }
    resources => {
${resources.join('\n')}
    }
  }
}
`;
}

function zoneText(dice: Dice, records: number, steered: number): string {
  const lines = [
    '$TTL 3600',
    '@ SOA ns0 hostmaster 2026010101 43200 7200 1209600 3600',
    '@ NS ns0',
    'ns0 A 192.0.2.53',
  ];
  for (let at = 0; at < steered; at++)
    lines.push(`${at === 0 ? 'www' : `www${at}`} 600 DYNA geoip!site-${dice.below(RESOURCES)}`);
  for (let at = 3; at < records; at++) {
    const kind = dice.below(10);
    if (kind < 6) lines.push(`host-${at} A 10.${dice.below(256)}.${dice.below(256)}.${dice.below(256)}`);
    else if (kind < 8) lines.push(`six-${at} AAAA 2001:db8:${dice.below(65_536).toString(16)}::${at.toString(16)}`);
    else if (kind < 9) lines.push(`alias-${at} CNAME ns0`);
    else lines.push(`text-${at} TXT "token=${dice.below(1_000_000_000)}"`);
  }
  return `${lines.join('\n')}\n`;
}
